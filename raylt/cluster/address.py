"""What the address of a cluster means, without a connection to it."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal
from urllib.parse import urlsplit

from raylt import uris
from raylt.schema import InputError

Way = Literal["here", "join", "submit"]
"""This machine alone, a cluster that it belongs to, or a cluster elsewhere."""

_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(\d{1,5})")


def way(address: str | None) -> Way:
    """How the cluster at an address is used.

    Raises:
        InputError: raylt cannot use the address.
    """
    if address is None or address == "local":
        return "here"
    if address.startswith("ray://"):
        raise InputError(
            f"--address: must not be a Ray Client address, but got {uris.public(address)}: a "
            f"search would end when this machine disconnects; submit with http://HOST:8265, or "
            f"run on a machine of the cluster with --address auto"
        )
    if address.startswith(("http://", "https://")):
        _require_plain(address)
        return "submit"
    match = _HOST_AND_PORT.fullmatch(address)
    if address == "auto" or (match and 0 < int(match[2]) < 2**16):
        return "join"
    raise InputError(
        f"--address: must be auto, HOST:6379 or http://HOST:8265, but got "
        f"{uris.public(address).rpartition('@')[2]!r}; `auto` finds the cluster that this machine "
        f"belongs to"
    )


def warnings(address: str, *, has_token: bool) -> tuple[str, ...]:
    """What is unsafe about submitting to an address, in words."""
    url = urlsplit(address)
    lines: list[str] = []
    if not has_token:
        lines.append(
            f"no token is set, so anyone who reaches {url.hostname} can run programs there; set "
            f"RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (see SECURITY.md)"
        )
    if url.scheme == "http" and not _private(url.hostname or ""):
        lines.append(
            f"{url.hostname} is not a private address and http:// does not encrypt the token; "
            f"use https://, or an ssh tunnel and http://localhost:8265"
        )
    return tuple(lines)


def _require_plain(address: str) -> None:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        url = urlsplit("")
    if not url.hostname:
        raise InputError(
            f"--address: must name a host, but got {uris.public(address)!r}; as in "
            f"http://head:8265"
        )
    if url.username or url.password:
        raise InputError(
            "--address: must hold no user name or password, because it shows up in logs; use a "
            "token in RAY_AUTH_TOKEN_PATH"
        )
    if url.path not in ("", "/") or url.query or url.fragment:
        raise InputError(
            f"--address: must end after the port, but got {uris.public(address)!r}; try "
            f"{url.scheme}://{url.netloc}"
        )


def _private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        # A name without a dot, or with an ending that is never public, is in the own network.
        return "." not in host or host.endswith((".local", ".internal", ".svc", ".localhost"))
