"""The network interface on which the workers of a trial connect.

By default gloo uses the address that the host name resolves to. On Debian and in most containers
that is 127.0.1.1 or nothing, and then workers on two machines look for each other on loopback.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

_SIOCGIFADDR = 0x8915
"""Linux's request for the IPv4 address of an interface, from <linux/sockios.h>."""


def interfaces() -> dict[str, str]:
    """IPv4 address -> name of each interface of this machine; {} where the system is not Linux."""
    if not sys.platform.startswith("linux"):
        return {}
    names: dict[str, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                # An interface without an IPv4 address, or one that has just gone.
                continue
            names[socket.inet_ntoa(answer[20:24])] = name
    return names


def name_interface(address: str) -> str | None:
    """Tell gloo and NCCL to use the interface of an address; what the user has set stays.

    Args:
        address: The address by which the cluster knows this machine.

    Returns:
        The interface, or None where the machine has none with that address.
    """
    name = interfaces().get(address)
    if name is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
    return name


def name_own_interface() -> str | None:
    """`name_interface` with the address of the Ray node that this process runs on."""
    import ray.util

    return name_interface(ray.util.get_node_ip_address())
