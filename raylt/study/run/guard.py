"""Ends a command whose own Ray has lost a part of itself, which Ray would wait for for ever."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType

import psutil
from rich.console import Console

from raylt import scratch
from raylt.schema import EnvironmentError

LOOK = 1.0
"""Seconds between two looks."""
WORKERS = 5
"""Looks between two at the processes of trials, which are many."""
STOPPED = 20
"""Looks that a part of Ray may be stopped by a signal."""
_GRACE = 20.0
"""Seconds in which the command must end by itself once a part of Ray is lost."""
_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's own setting: after so many seconds without its control service it aborts this process."""
AWAY = float(os.environ.get(_PATIENCE, 60)) - 10
"""Seconds for which the control service of a cluster may be gone."""
_ANSWER = 2.0
"""Seconds in which it must take a connection."""

_log = logging.getLogger("raylt")


class RayLost(EnvironmentError):
    """A process of Ray, without which no trial can go on, died or was stopped."""


class RayGuard:
    """Watches the Ray that this command started, for the time of a `with`.

    Once a process that it needs has died, or was stopped for long, `lost` says so and the
    processes of the trials are killed. The end of the `with` then raises `RayLost`. A command that
    waits for an answer that Ray cannot give is ended after `_GRACE` seconds, with the same words
    and exit code: Ray would wait for ever, or abort the process.

    A signal to the whole group of processes, such as a SIGTERM, ends Ray as well: that is no loss
    but an interruption, and nothing more is waited for.

    Stopped processes of trials are named in a warning.

    Of a cluster's Ray, whose processes are not its own, it watches the control service and the
    raylet of this machine, and ends the command at once: Ray would abort it or wait for ever.

    Args:
        parts: Process numbers of Ray's own processes, by name, `raylet` among them; of a cluster
            that alone, or none.
        head: Host and port of the cluster's control service.
        interrupted: Whether this command was asked to stop.
    """

    def __init__(
        self,
        parts: Mapping[str, int],
        *,
        head: tuple[str, int] | None = None,
        resume_command: str,
        interrupted: Callable[[], bool] = bool,
    ) -> None:
        self.lost = ""
        """What happened, in one line; "" while all is well."""
        self._parts = {name: psutil.Process(pid) for name, pid in parts.items()}
        self._head = head
        self._workers: list[psutil.Process] = []
        self._resume_command = resume_command
        self._interrupted = interrupted
        self._stopped: Counter[int] = Counter()
        """At how many looks in a row each process was stopped, by its number."""
        self._closing = threading.Event()
        main = self._watch_head if head else self._main
        self._thread = threading.Thread(target=main, name="ray guard", daemon=True)

    def __enter__(self) -> RayGuard:
        if self._parts or self._head:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self._closing.set()
        # What Ray raised has the same cause. A Ctrl-C has its own end.
        if self.lost and (kind is None or issubclass(kind, Exception)):
            if not self._interrupted():
                raise RayLost(self._message()) from error
            if kind is not None:
                raise KeyboardInterrupt(self._saved()) from error

    def look(self) -> bool:
        """Whether a part of Ray is lost, by a look of this moment."""
        if self._head:
            return bool(self.lost)
        dead = {name: part for name, part in self._parts.items() if not _is_alive(part)}
        if dead and not self.lost and not self._closing.is_set():
            causes = ", ".join(f"{name} {_how_it_died(part)}" for name, part in dead.items())
            self._lose(causes)
        return bool(self.lost)

    def _main(self) -> None:
        looks = 0
        while not self._closing.wait(LOOK):
            if looks % WORKERS == 0:
                self._find_workers()
            looks += 1
            if not self.look():
                self._look_for_stopped()
            if self.lost:
                # The main thread may hear of the signal that ended Ray a moment later.
                if not self._closing.wait(LOOK) and self._interrupted():
                    os.kill(os.getpid(), signal.SIGINT)
                self._closing.wait(_GRACE)
                if not self._closing.is_set():
                    self._end()
                return

    def _watch_head(self) -> None:
        assert self._head is not None
        host, port = self._head
        heard, cause = time.monotonic(), ""
        while not self._closing.wait(LOOK):
            try:
                socket.create_connection(self._head, timeout=_ANSWER).close()
                heard = time.monotonic()
            except OSError as error:
                if time.monotonic() - heard > AWAY:
                    cause = f"the head at {host}:{port} has not answered for {AWAY:.0f} s"
                    cause += f" ({error.strerror or error})"
            if not all(map(_is_alive, self._parts.values())):
                cause = "the raylet of this machine died"
            if cause and not self._closing.is_set():
                self.lost = cause
                self._end()

    def _find_workers(self) -> None:
        with contextlib.suppress(psutil.Error):
            children = self._parts["raylet"].children(recursive=True)
            agents = {
                name: child
                for child in children
                if (name := _name(child).removeprefix("ray::")).endswith("Agent")
            }
            # Ray starts them a moment after the rest.
            self._parts |= agents
            # A raylet that dies in this moment has no children any more.
            known = [worker for worker in self._workers if _is_alive(worker)]
            self._workers = list({*known, *children}.difference(agents.values()))

    def _look_for_stopped(self) -> None:
        for process in [*self._parts.values(), *self._workers]:
            stopped = _status(process) == psutil.STATUS_STOPPED
            self._stopped[process.pid] = self._stopped[process.pid] + 1 if stopped else 0
        for name, part in self._parts.items():
            if self._stopped[part.pid] >= STOPPED:
                self._lose(f"{name} (process {part.pid}) was stopped by a signal")
                return
        for worker in self._workers:
            if self._stopped[worker.pid] == STOPPED:
                _log.warning(
                    "%s stands still: its process %d was stopped by a signal; let it go on with "
                    "`kill -CONT %d`",
                    _trial(worker),
                    worker.pid,
                    worker.pid,
                )

    def _lose(self, cause: str) -> None:
        self.lost = cause
        # What is left of Ray answers while the search ends; nothing may write any more.
        self._kill(but="gcs_server")

    def _kill(self, *, but: str = "") -> None:
        keep = self._parts.get(but)
        if keep is not None and _status(keep) == psutil.STATUS_STOPPED:
            keep = None
        for process in [*self._parts.values(), *self._workers]:
            if process != keep:
                with contextlib.suppress(psutil.Error):
                    process.kill()

    def _end(self) -> None:
        self._kill()
        children = psutil.Process().children(recursive=True)
        for process in children:
            with contextlib.suppress(psutil.Error):
                process.kill()
        # What is alive would still write into the folder that is removed.
        psutil.wait_procs(children, timeout=LOOK)
        # A live table hides it.
        Console(stderr=True).show_cursor()
        stopped = self._interrupted()
        message = f"interrupted {self._saved()}" if stopped else self._message()
        print(f"error: {message}", file=sys.stderr, flush=True)
        scratch.remove()
        os._exit(130 if stopped else RayLost.exit_code)

    def _saved(self) -> str:
        return f"at once; what was scored is saved: `{self._resume_command}`"

    def _message(self) -> str:
        lost = self.lost if self._head else f"on this machine its {self.lost}"
        return (
            f"Ray must run until the end, but {lost}; what was reported is kept, go on with "
            f"`{self._resume_command}`"
        )


def _status(process: psutil.Process) -> str:
    try:
        return process.status()
    except psutil.Error:
        return psutil.STATUS_DEAD


def _is_alive(process: psutil.Process) -> bool:
    return _status(process) not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


def _name(process: psutil.Process) -> str:
    """What a process calls itself; "" where it is gone."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()).strip()
    return ""


def _how_it_died(process: psutil.Process) -> str:
    """By what a process ended, as far as its parent, which this process may be, can still tell."""
    # macOS has no such call before Python 3.13.
    with contextlib.suppress(OSError, AttributeError):
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if ended is not None and ended.si_code == os.CLD_EXITED:
            return f"ended with exit code {ended.si_status}"
        if ended is not None:
            memory = ", as where memory runs out" if ended.si_status == 9 else ""
            return f"was killed by signal {ended.si_status}{memory}"
    return "died"


def _trial(process: psutil.Process) -> str:
    """The trial that a process runs, by the file that it prints to."""
    with contextlib.suppress(psutil.Error):
        for file in process.open_files():
            if match := re.search(r"/trials/(\d+)/output", file.path):
                return f"trial {match[1]}"
    return "a trial"
