"""Ray on this machine: started for one search, silent, by itself, and gone afterwards."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Generator
from pathlib import Path

import psutil

from raylt import scratch
from raylt.cluster import ray_compat
from raylt.schema import EnvironmentError

_OBJECT_STORE = 100 * 2**20
"""Bytes: recipes and metrics are all that travels."""
_SHUTDOWN = 15.0
"""Seconds that Ray may take to end."""


def cores() -> int:
    """Cores that this process may use: its affinity, cut by the container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = Path("/sys/fs/cgroup/cpu.max")
    with contextlib.suppress(OSError, ValueError):
        share, period = quota.read_text().split()
        allowed = min(allowed or 1, max(1, int(share) // int(period)))
    return allowed or 1


def memory() -> float:
    """Bytes of memory that are free here, cut by the container's limit."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    return float(free)


def gpus() -> int | None:
    """GPUs of this machine as far as its devices tell; None where only their driver knows."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    if Path("/dev/dxg").exists() or Path("/dev/kfd").exists():
        # Windows Subsystem for Linux and AMD keep other devices than NVIDIA does.
        return None
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


@contextlib.contextmanager
def ray_here(*, cpus: int, dashboard: bool, preload: str | None) -> Generator[None]:
    """A Ray cluster of this machine for the time of a `with`.

    Args:
        dashboard: Whether its State API runs, on loopback: trials of several workers need it to
            give their cores back when they are stopped early.
        preload: A module that Ray's processes import while they wait for a trial, such as one
            that needs torch, which takes seconds.

    Raises:
        EnvironmentError: Ray does not come up.
    """
    import ray

    port = _free_port()
    with scratch.folder("ray", longest=ray_compat.LONGEST_FOLDER) as folder:
        if dashboard:
            # Every process asks this cluster, even where others run on the machine.
            os.environ["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{port}"
        try:
            with (
                ray_compat.on_loopback(folder),
                contextlib.nullcontext() if dashboard else ray_compat.without_bystanders(),
            ):
                ray.init(
                    # Never whatever cluster happens to be about.
                    address="local",
                    num_cpus=cpus,
                    include_dashboard=dashboard,
                    dashboard_host="127.0.0.1",
                    dashboard_port=port,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    object_store_memory=_OBJECT_STORE,
                    **ray_compat.private_and_quiet(folder, preload),
                )
        except Exception as error:
            logs = (folder / "ray" / "session_latest" / "logs").resolve()
            kept = scratch.keep(logs, folder)
            raise EnvironmentError(
                f"Ray must start on this machine, but it did not: "
                f"{' '.join(str(error).split())[:300]}; look into {kept}, and free "
                f"memory and disk"
            ) from error
        try:
            with ray_compat.trials_in_waiting_processes():
                yield
        finally:
            _shut_down()
            os.environ.pop("RAY_API_SERVER_ADDRESS", None)


def _shut_down() -> None:
    """End Ray, but do not wait for one that has lost a part of itself."""
    import ray

    processes = ray_compat.started_processes()
    thread = threading.Thread(target=ray.shutdown, name="shutdown", daemon=True)
    thread.start()
    thread.join(_SHUTDOWN)
    # The dashboard's modules outlive it by seconds, and write into a folder that is removed now.
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=_SHUTDOWN)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
