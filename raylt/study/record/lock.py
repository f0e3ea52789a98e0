"""The lock of a study: one driver at a time, on this machine and on all that share its server."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import stat
from collections.abc import Generator
from pathlib import Path

from raylt.schema import EnvironmentError
from raylt.study.record import postgres
from raylt.study.record.postgres import Driver, Hold

_log = logging.getLogger("raylt")


def driver_of(folder: Path, url: str | None) -> Driver | None:
    """The process that drives a study now, on any machine that shares its folder or server.

    Args:
        folder: The study's folder.
        url: The server that has the study, or None.

    Raises:
        EnvironmentError: the server does not answer.
    """
    try:
        with (folder / "driver.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _, host = (folder / "driver.lock").read_text().strip().partition(" ")
        return Driver(int(pid or 0), host or "this machine")
    except FileNotFoundError:
        pass
    return postgres.driver(url, folder.name) if url else None


@contextlib.contextmanager
def locked(folder: Path, url: str | None) -> Generator[Hold]:
    """Lock a study for one driver; the lock is released however the process ends.

    Args:
        folder: The study's folder.
        url: The server that has the study, or None.

    Raises:
        EnvironmentError: another process has locked it, the folder cannot be written, or the
            server does not answer.
    """
    path = folder / "driver.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise EnvironmentError(
            f"the folder of runs must be writable, but {folder} is not: {error.strerror}; "
            f"choose another with --runs or RAYLT_RUNS"
        ) from error
    if folder.stat().st_mode & stat.S_IWOTH:
        _log.warning(
            "warning: every user of this machine may change the results in %s; chmod o-w it",
            folder,
        )
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentError(
                f"study {folder.name} is already running ({driver_of(folder, None)}); wait for "
                f"it, or interrupt it"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}\n")
        file.flush()
        with postgres.locked(url, folder.name) if url else contextlib.nullcontext(Hold()) as hold:
            yield hold
