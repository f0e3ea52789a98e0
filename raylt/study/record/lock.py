"""The lock of a study: one driver at a time, on this machine and on all that share its server; and
the folder, which must stay where it is."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

from raylt import printed
from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.study.record import postgres
from raylt.study.record.postgres import Driver, Hold
from raylt.study.record.text import KEPT

_READERS = 0.5
"""Seconds to wait for those who only look who drives, such as `raylt status`: each of them holds
the lock for microseconds."""

_log = logging.getLogger("raylt")


def driver_of(folder: Path, url: str | None) -> Driver | None:
    """The process that drives a study now, on any machine that shares its folder or server.

    Raises:
        EnvironmentError: the server does not answer.
    """
    try:
        with (folder / "driver.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        driver, _, question = (folder / "driver.lock").read_text().strip().partition("\n")
        pid, _, host = driver.partition(" ")
        return Driver(int(pid or 0), host or "this machine", question)
    except FileNotFoundError:
        pass
    return postgres.driver(url, folder.name) if url else None


def is_searching(folder: Path, url: str | None) -> bool:
    """Whether a process runs the trials of a study's search now, and not a question about it.

    Raises:
        EnvironmentError: the server does not answer.
    """
    driver = driver_of(folder, url)
    return driver is not None and not driver.question


def _try_to_lock(file: TextIO) -> bool:
    """Whether this process has the lock now, and no other driver."""
    deadline = time.monotonic() + _READERS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


@contextlib.contextmanager
def writing(folder: Path) -> Generator[None]:
    """The body of a `with` writes into a study's folder.

    Raises:
        EnvironmentError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise EnvironmentError(
            f"the folder of runs must be writable, but {folder} is not: {error.strerror}; "
            f"choose another with --runs or RAYLT_RUNS"
        ) from error


@contextlib.contextmanager
def locked(
    folder: Path, url: str | None, *, go_on: str = "the same command", question: str = ""
) -> Generator[Hold]:
    """Lock a study for one driver; the lock is released however the process ends.

    Args:
        go_on: What goes on with it where the server lets it go, for the message.
        question: The verb that is answered by runs over fresh seeds; empty for the search.

    Raises:
        EnvironmentError: another process has locked it, the folder cannot be written, or the
            server does not answer.
    """
    path = folder / "driver.lock"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    if folder.stat().st_mode & stat.S_IWOTH:
        _log.warning(
            "warning: every user of this machine may change the results in %s; chmod o-w it",
            folder,
        )
    with file:
        if not _try_to_lock(file):
            raise EnvironmentError(
                f"study {folder.name} is already running ({driver_of(folder, None)}); wait for "
                f"it, or interrupt it"
            )
        file.truncate(0)
        file.write(f"{os.getpid()} {socket.gethostname()}\n{question}\n")
        file.flush()
        if url is None:
            yield Hold()
            return
        with postgres.locked(url, folder.name, go_on=go_on) as hold:
            yield hold


class Place:
    """A folder that must not be moved or removed while its study is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Whoever holds a folder open learns its new name.
        self._held: int | None = os.open(folder, os.O_RDONLY)
        self._identity = _identity(os.stat(self._held))

    def require(self) -> None:
        """Refuse to write where the folder is no more.

        Raises:
            EnvironmentError: it was moved or removed.
        """
        with contextlib.suppress(OSError):
            if _identity(self._folder.stat()) == self._identity:
                return
        now = Path()
        with contextlib.suppress(OSError):
            now = Path(os.readlink(f"/proc/self/fd/{self._held}"))
        where = "it was moved or removed; if it was moved, move it back"
        if is_elsewhere := bool(now.name) and now.is_dir():
            again = printed.command("resume", [now.name], Settings(runs=now.parent))
            where = (
                f"it is now at {now}; {KEPT} there: move it back, or go on there with `{again}`"
            )
        raise EnvironmentError(
            f"{self._folder} must stay where it is while its study runs, but {where}",
            names_command=is_elsewhere,
        )

    def close(self) -> None:
        """Let the folder go."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
