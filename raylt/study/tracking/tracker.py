"""The tracker of a search: a thread that keeps MLflow agreeing with the study of record.

The record is the spool. A tracker that is down, slow or killed costs no trial, loses no point
and doubles none: what is missing is read from the record and sent again later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from raylt.study.record import provenance
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome
from raylt.study.record.record import Record
from raylt.study.resources import environment
from raylt.study.tracking import store

if TYPE_CHECKING:
    from raylt.study.tracking.mirror import Mirror

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_START = 10.0
"""Seconds in which a tracker must answer before a search begins."""
_FLUSH = 30.0
"""Seconds that the end of a search waits for what is not yet sent."""
_RETRY = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while the tracker is down."""
_LAST_TRIES = 2
"""How often the end of a search tries to send what is left."""
_WARN = 60.0
"""Seconds between two warnings."""
_NICE = 5
"""The thread steps back behind everything else on the machine."""

_log = logging.getLogger("raylt")


def open_mirror(record: Record, *, uri: str, artifacts: Path, command: str) -> Mirror:
    """Connect to the store at `uri`; makes its tables where they are missing.

    `artifacts` is where files go if the store is a database, which cannot hold any.
    """
    environment.prepare_mlflow()
    # Its words about retries would break into the live table; our own say what matters.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    from mlflow import MlflowClient

    from raylt.study.tracking.mirror import Mirror

    return Mirror(
        record,
        MlflowClient(tracking_uri=store.made(uri)),
        uri=store.public(uri),
        artifacts=artifacts if uri.startswith(_DATABASES) else None,
        tags=provenance.tags(),
        command=command,
    )


def pending(record: Record, uri: str, sent: Mapping[int, int]) -> int:
    """How many points of a study a store lacks.

    Args:
        record: The study.
        uri: The store's name in the record, without credentials.
        sent: The last epoch that was sent of each trial, by its number.
    """
    count = 0
    for one in record.outcomes():
        noted = record.facts.get(f"mlflow:trial/{one.number}", {})
        if noted.get("uri") != uri or not noted["closed"]:
            epochs = record.epochs(one.number)
            fresh = [entry for entry in epochs if entry["epoch"] > sent.get(one.number, 0)]
            # The time and the epoch are no points of their own.
            count += sum(len(entry) - 2 for entry in fresh)
    return count


class Tracker(Listener):
    """Its hooks return at once, whatever MLflow does.

    A life: `start`, `demand`, then what the searcher tells, `close`.

    Args:
        connect: Opens the mirror; called in the tracker's thread.
        record: What is to be sent.
        uri: The store, for messages; credentials are left out of them.
        again: The command that sends what is missing, for messages.
        optional: Whether a store that does not answer at the start is only warned of.
    """

    def __init__(
        self,
        connect: Callable[[], Mirror],
        *,
        record: Record,
        uri: str,
        again: str,
        optional: bool,
    ) -> None:
        self.uri = store.public(uri)
        self._record = record
        self._again = again
        self._optional = optional
        self._private_uri = uri
        self._connect = connect
        self._thread = threading.Thread(target=self._main, name="tracker", daemon=True)
        self._answered = threading.Event()
        self._accepted = optional
        self._news = threading.Condition()
        # Guarded by the condition.
        self._pending: set[int] = set()
        self._interrupted: set[int] = set()
        self._closing = False
        self._cut_short = False
        # Written by the thread alone.
        self._mirror: Mirror | None = None
        self._trouble = ""
        self._refused: dict[int, str] = {}
        self._warned = -_WARN

    # The driver's side

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def demand(self) -> None:
        """Wait until the store has answered; SQLite is only looked at, its tables take longer.

        An optional store is not waited for.

        Raises:
            EnvironmentError: it does not answer, and is not optional.
        """
        if self._optional:
            return
        why = store.sqlite_trouble(self._private_uri)
        if why is None:
            answered = self._answered.wait(_START)
            why = self._trouble or ("" if answered else f"no answer within {_START:.0f} s")
        if why:
            self.leave()
            raise store.unreachable(self.uri, why)
        self._accepted = True

    def started(self, task: Task) -> None:
        """A trial begins, or begins again."""
        # One that ran out of memory beside others is left open, and goes on alone.
        self._interrupted.discard(task.number)
        self._tell(task.number)

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""
        self._tell(task.number)

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        self._tell(task.number)

    def interrupted(self, task: Task) -> None:
        """The search stops while the trial runs."""
        self._interrupted.add(task.number)
        self._tell(task.number)

    def close(self, *, interrupted: bool) -> tuple[str, ...]:
        """Send what is left, as far as the store takes it in time; say what it did not take.

        After `leave` there is nothing to wait for.
        """
        if self._closing:
            return ()
        with self._news:
            self._closing = True
            self._cut_short = interrupted
            self._news.notify()
        self._thread.join(_FLUSH)
        notices = [f"MLflow refused trial {n}: {why}" for n, why in sorted(self._refused.items())]
        if self._thread.is_alive() or self._trouble:
            points = pending(self._record, self.uri, self._mirror.sent() if self._mirror else {})
            notices.append(
                f"MLflow at {self.uri} lacks the last news of the study, {points} points "
                f"pending ({self._trouble or 'it is slow'}); nothing is lost, `{self._again}` "
                f"sends them"
            )
        return tuple(notices)

    def leave(self) -> None:
        """End without waiting for anything; what is not sent is sent when the study goes on."""
        with self._news:
            self._closing = True
            self._news.notify()

    def _tell(self, number: int) -> None:
        with self._news:
            self._pending.add(number)
            self._news.notify()

    # The thread's side

    def _main(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        failures, last_tries = 0, _LAST_TRIES
        # Nobody waits for a file to answer: to make its tables would only hold up the first trial.
        at_leisure = store.sqlite_trouble(self._private_uri) == ""
        while True:
            closing = self._await_news() if at_leisure or self._mirror else self._closing
            try:
                mirror = self._mirror = self._mirror or self._connected()
                self._answered.set()
                self._send(mirror)
                if closing:
                    mirror.finish(interrupted=self._cut_short)
            except Exception as error:
                # Whatever it is, the trials go on; the close says what MLflow lacks.
                self._complain(error)
                self._answered.set()
                failures += 1
                last_tries -= closing
                if not last_tries:
                    return
                self._rest(_RETRY[min(failures, len(_RETRY)) - 1], closing=closing)
            else:
                self._trouble, failures = "", 0
                if closing:
                    return

    def _connected(self) -> Mirror:
        if why := store.sqlite_trouble(self._private_uri):
            # MLflow would make the folders of a path that was only mistyped.
            raise ConnectionError(why)
        mirror = self._connect()
        missing = mirror.missing()
        with self._news:
            self._pending.update(missing)
        return mirror

    def _await_news(self) -> bool:
        """Sleep until there is something to send; true if this is the last of it."""
        with self._news:
            self._news.wait_for(lambda: self._pending or self._closing)
            return self._closing

    def _send(self, mirror: Mirror) -> None:
        while True:
            with self._news:
                number = min(self._pending, default=None)
                if number is None:
                    return
                self._pending.discard(number)
            try:
                mirror.trial(number, interrupted=number in self._interrupted)
            except Exception as error:
                if not mirror.is_refusal(error):
                    self._tell(number)
                    raise
                # Somebody deleted the run: no retry will bring it back.
                self._refused[number] = store.public(store.line(error))

    def _complain(self, error: Exception) -> None:
        self._trouble = store.public(store.line(error))
        # At the start of a search that needs the store, `demand` has the word.
        if self._accepted and time.monotonic() - self._warned >= _WARN:
            self._warned = time.monotonic()
            _log.warning("MLflow at %s: %s; the search goes on", self.uri, self._trouble)

    def _rest(self, seconds: float, *, closing: bool) -> None:
        """Wait, but no longer than until the search ends."""
        with self._news:
            self._news.wait_for(lambda: self._closing and not closing, timeout=seconds)
