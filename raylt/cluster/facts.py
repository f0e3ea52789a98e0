"""What a machine of the cluster knows about itself; runs there, so it imports nothing heavy."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from raylt.cluster import network

_COMPARED = ("raylt", "ray", "torch", "optuna")
_ANSWER = 5.0
"""Seconds that a tracking server may take to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One machine, as seen from one of its processes."""

    host: str
    versions: dict[str, str]
    """Of Python and of the packages that must be the same on all machines."""
    time: float
    """Its clock, seconds since 1970."""
    shm: int
    """Free bytes of /dev/shm; -1 where there is none."""
    disk: int
    """Free bytes in the runs folder; -1 where it cannot be reached."""
    driver: str
    """Version of the GPU driver; "" without GPUs."""
    addresses: dict[str, str]
    """IPv4 address -> interface."""
    read: str
    """What it read from the driver's file."""
    wrote: str
    """The file that it wrote beside it; "" where it could not."""
    trouble: str
    """Why it could not read or write."""
    tracker: str
    """Why MLflow does not answer; "" if it does or needs no server."""


def gather(folder: str, word: str, tracking_uri: str | None) -> Facts:
    """Collect the facts of this machine.

    Args:
        folder: A folder in which the driver wrote `driver.txt`.
        word: Name and content of this machine's own file.
        tracking_uri: MLflow's store; None where it is a file of the driver.
    """
    where, read, wrote, trouble = Path(folder), "", "", ""
    try:
        read = (where / "driver.txt").read_text("utf-8")
        own = where / f"{word}.txt"
        own.write_text(word, "utf-8")
        wrote = own.name
    except OSError as error:
        trouble = f"{error.strerror}: {error.filename}"
    return Facts(
        host=socket.gethostname(),
        versions=versions(),
        time=time.time(),
        shm=_free("/dev/shm"),
        disk=_free(str(where)),
        driver=_gpu_driver(),
        addresses=network.interfaces(),
        read=read,
        wrote=wrote,
        trouble=trouble,
        tracker=_tracker(tracking_uri),
    )


def versions() -> dict[str, str]:
    """Of Python and of the packages that must be the same on all machines."""
    packages = {"python": platform.python_version()}
    for name in _COMPARED:
        packages[name] = "missing"
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    return packages


def _free(path: str) -> int:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return -1


def _gpu_driver() -> str:
    if not os.path.exists("/proc/driver/nvidia/version"):
        return ""
    import pynvml

    try:
        pynvml.nvmlInit()
        return pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError as error:
        return f"unknown ({error})"


def _tracker(uri: str | None) -> str:
    if uri is None or not uri.startswith(("http://", "https://")):
        return ""
    try:
        with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=_ANSWER):
            return ""
    except urllib.error.HTTPError as error:
        # A server that asks for a password is up; ours is checked when a study starts.
        return "" if error.code in (401, 403, 404) else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
