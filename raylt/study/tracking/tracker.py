"""The tracker of a search: a thread that keeps MLflow agreeing with the study of record.

An MLflow server that is down, slow or killed costs no trial, loses no point and doubles none:
what it lacks is read from the record and sent later.
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

from raylt import uris
from raylt.schema import EnvironmentError
from raylt.study.record import provenance
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome
from raylt.study.record.record import Record
from raylt.study.resources import environment
from raylt.study.tracking import metric_table, store

if TYPE_CHECKING:
    from raylt.study.tracking.mirror import MlflowMirror

_START = 10.0
"""Seconds in which MLflow must answer before a search begins."""
FLUSH = 30.0
"""Seconds that the end of a search waits until everything is sent."""
RETRY = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while MLflow is down."""
_LAST_TRIES = 2
"""How often the end of a search tries to send what is left."""
_WARN = 60.0
"""Seconds between two warnings."""
_GATHER = 3.0
"""Seconds of news that are sent together: a write costs as much for many points as for one."""
_NICE = 5
"""The thread gives way to everything else on the machine."""

_log = logging.getLogger("raylt")


def open_mirror(record: Record, *, uri: str, artifacts: Path, command: str) -> MlflowMirror:
    """Connect to the store at `uri`; makes its tables where they are missing.

    `artifacts` is where files go if the store is a database, which cannot hold any.
    """
    environment.prepare_mlflow()
    # Warnings of retries, and a database's errors with all statements and values, would break into
    # the live table; the tracker's own say enough.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    from mlflow import MlflowClient

    from raylt.study.tracking.mirror import MlflowMirror
    from raylt.study.tracking.mlflow_runs import MlflowRuns

    runs = MlflowRuns(
        record,
        MlflowClient(tracking_uri=store.ensure(uri)),
        uri=uris.public(uri),
        artifacts=artifacts if uri.startswith(uris.DATABASES) else None,
        tags=provenance.tags(),
    )
    return MlflowMirror(record, runs, command=command)


def pending(record: Record, uri: str, sent: Mapping[int, int]) -> int:
    """How many points of a study a store lacks.

    Args:
        uri: The store's name in the record, without credentials.
        sent: The last epoch that was sent of each trial, by its number.
    """
    count = 0
    for number in (outcome.number for outcome in record.outcomes()):
        run = record.facts.get(f"mlflow:trial/{number}", {})
        if run.get("uri") != uri or not run["closed"]:
            epochs = [e for e in record.epochs(number) if e["epoch"] > sent.get(number, 0)]
            count += sum(len(metric_table.of_epoch(e, record.space.study)) for e in epochs)
    return count


class Tracker(Listener):
    """Sends what happens to trials to MLflow; its calls return at once, whatever MLflow does.

    Call `start`, then `require`, then the hooks of a listener, then `close`.

    Args:
        connect: Opens the mirror; called in the tracker's thread.
        uri: The store, for messages; credentials are left out of them.
        optional: Whether the search starts without a store that does not answer.
    """

    def __init__(
        self,
        connect: Callable[[], MlflowMirror],
        *,
        record: Record,
        uri: str,
        resume_command: str,
        optional: bool,
    ) -> None:
        self.uri = uris.public(uri)
        self._record = record
        self.resume_command = resume_command
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
        self._mirror: MlflowMirror | None = None
        self._trouble = ""
        self._refused: dict[int, str] = {}
        self._refusal: EnvironmentError | None = None
        self._warned = -_WARN

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def require(self) -> None:
        """Wait until the store answers; a SQLite file is only checked, as its tables take long.

        Returns at once where the store is optional.

        Raises:
            EnvironmentError: it does not answer, and is not optional.
        """
        if self._optional:
            return
        trouble = store.sqlite_trouble(self._private_uri)
        if trouble is None:
            answered = self._answered.wait(_START)
            trouble = self._trouble or ("" if answered else f"no answer within {_START:.0f} s")
        if trouble:
            self.leave()
            raise self._refusal or store.unreachable(self.uri, trouble)
        self._accepted = True

    def started(self, task: Task) -> None:
        """A trial begins, or begins again."""
        # It may have been interrupted: out of memory beside others, it goes on alone.
        self._interrupted.discard(task.number)
        self._queue(task.number)

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""
        self._queue(task.number)

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        self._queue(task.number)

    def interrupted(self, task: Task) -> None:
        """The search stops while the trial runs."""
        self._interrupted.add(task.number)
        self._queue(task.number)

    def close(self, *, interrupted: bool) -> tuple[str, ...]:
        """Send what is left, within a limit of time; returns notices of what was not sent.

        Returns at once after `leave`.
        """
        if self._closing:
            return ()
        with self._news:
            self._closing = True
            self._cut_short = interrupted
            self._news.notify()
        self._thread.join(FLUSH)
        refused = sorted(self._refused.items())
        notices = [
            f"MLflow refused trial {number}: {reason}; `{self.resume_command}` sends it again"
            for number, reason in refused
        ]
        if self._thread.is_alive() or self._trouble:
            sent = self._mirror.runs.sent() if self._mirror else {}
            notices.append(
                f"{pending(self._record, self.uri, sent)} points are not in MLflow at {self.uri} "
                f"yet ({self._trouble or 'it is slow'}); `{self.resume_command}` uploads them"
            )
        return tuple(notices)

    def leave(self) -> None:
        """End without waiting; what is not sent is sent when the study goes on."""
        with self._news:
            self._closing = True
            self._news.notify()

    def _queue(self, number: int) -> None:
        with self._news:
            self._pending.add(number)
            self._news.notify()

    # From here on everything runs in the thread.

    def _main(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        failures, last_tries = 0, _LAST_TRIES
        # A file need not be tried at the start: its tables would only hold up the first trial.
        is_file = store.sqlite_trouble(self._private_uri) == ""
        while True:
            closing = self._await_news() if is_file or self._mirror else self._closing
            try:
                mirror = self._mirror = self._mirror or self._connect_and_queue()
                self._answered.set()
                self._send(mirror)
                if closing:
                    mirror.finish(interrupted=self._cut_short)
            except Exception as error:
                # Whatever it is, the trials go on; `close` says what MLflow lacks.
                self._refusal = self._refusal_of(error)
                self._warn(self._refusal or error)
                self._answered.set()
                if self._refusal is not None:
                    return
                failures += 1
                last_tries -= closing
                if not last_tries:
                    return
                self._rest(RETRY[min(failures, len(RETRY)) - 1], closing=closing)
            else:
                self._trouble, failures = "", 0
                if closing:
                    return

    def _connect_and_queue(self) -> MlflowMirror:
        if trouble := store.sqlite_trouble(self._private_uri):
            # MLflow would make the folders of a path that was only mistyped.
            raise ConnectionError(trouble)
        mirror = self._connect()
        missing = mirror.missing()
        with self._news:
            self._pending.update(missing)
        return mirror

    def _await_news(self) -> bool:
        """Sleep until there is some time's news to send; true if this is the last of it."""
        with self._news:
            self._news.wait_for(lambda: self._pending or self._closing)
            self._news.wait_for(lambda: self._closing, timeout=_GATHER)
            return self._closing

    def _send(self, mirror: MlflowMirror) -> None:
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
                    self._queue(number)
                    raise
                # Somebody deleted the run: no retry will bring it back. Without the study's own
                # run or experiment no other trial can be sent.
                mirror.runs.require_study()
                self._refused[number] = uris.redacted(store.line(error), [self._private_uri])

    def _refusal_of(self, error: Exception) -> EnvironmentError | None:
        """The error with a remedy where somebody deleted the study: no retry brings it back."""
        try:
            if self._mirror is not None and self._mirror.is_refusal(error):
                self._mirror.runs.require_study()
        except EnvironmentError as refusal:
            return refusal
        except Exception:
            # MLflow does not answer now, so it is tried again.
            return None
        return error if isinstance(error, EnvironmentError) else None

    def _warn(self, error: Exception) -> None:
        text = str(error) if isinstance(error, EnvironmentError) else store.line(error)
        self._trouble = uris.redacted(text, [self._private_uri])
        # At the start of a search that needs the store, `require` raises instead.
        if self._accepted and time.monotonic() - self._warned >= _WARN:
            self._warned = time.monotonic()
            _log.warning("MLflow at %s: %s; the search goes on", self.uri, self._trouble)

    def _rest(self, seconds: float, *, closing: bool) -> None:
        """Wait, but no longer than until the search ends."""
        with self._news:
            self._news.wait_for(lambda: self._closing and not closing, timeout=seconds)
