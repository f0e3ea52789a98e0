"""The network interface on which the workers of a trial connect.

By default gloo uses the address that the host name resolves to. On Debian and in most containers
that is 127.0.1.1 or nothing, and then workers on two machines look for each other on loopback.
"""

from __future__ import annotations

import os
import socket

import psutil


def interfaces() -> dict[str, str]:
    """IPv4 address -> name of each interface of this machine."""
    return {
        own.address: name
        for name, addresses in psutil.net_if_addrs().items()
        for own in addresses
        if own.family is socket.AF_INET
    }


def name_interface(address: str) -> str | None:
    """Tell gloo and NCCL to use the interface of an address; what the user has set stays.

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
