"""The checkpoint bucket of a study: fetch what its trials sent there."""

from __future__ import annotations

import logging
from pathlib import Path

from raylt.schema import EnvironmentError, InputError
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import CHECKPOINTS, Record
from raylt.trial.checkpoints import bucket

_log = logging.getLogger("raylt")


def chosen(record: Record, wanted: str | None) -> str | None:
    """The bucket that a study goes on with; one that it has it keeps.

    Raises:
        InputError: the study has another one.
    """
    noted: str | None = record.facts.get(CHECKPOINTS)
    if noted is not None and wanted is not None and wanted != noted:
        raise InputError(
            f"--checkpoints: must be {noted}, the bucket of {record.name}, but got {wanted}; "
            f"leave it out"
        )
    return wanted or noted


def trial_folder(record: Record, number: int, *, whole: bool) -> Path:
    """The local folder of a trial, completed from its bucket.

    Raises:
        EnvironmentError: the bucket does not answer.
    """
    folder, uri = record.trial_folder(number), record.bucket(number)
    if uri is not None:
        try:
            bucket.bring(uri, folder, whole=whole)
        except OSError as error:
            raise EnvironmentError(
                f"cannot read the checkpoint bucket {uri}: {bucket.reason(error)}; "
                f"{bucket.CREDENTIALS}"
            ) from error
    return folder


class Fetching(Listener):
    """Fetches what an ended trial printed and scored, for the listeners that come after it."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        try:
            trial_folder(self._record, task.number, whole=False)
        except EnvironmentError as error:
            # The numbers are here already; tables and output can be had later.
            _log.warning("%s", error)
