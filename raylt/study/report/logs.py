"""What a trial has printed, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from raylt.schema import InputError
from raylt.study.record import bucket, text
from raylt.study.record.record import Record
from raylt.study.report.columns import Column, Columns

_EPOCHS = 100
"""Scored epochs that are shown, the last ones."""
_HEADS = {"images_per_second": "images/s"}
"""Names that are too long for a column of short numbers."""
PERIOD = 0.5
"""Seconds between two looks at the files of a trial that runs."""


def parts(record: Record, number: int) -> list[Columns | str]:
    """A trial for people: what it is, its scored epochs, all that it printed, and the traceback
    of its failure, which comes last in one line.

    Raises:
        InputError: the study has no such trial.
    """
    folder = _folder(record, number)
    files = (*_printed(folder), *_errors(folder))
    printed = [path.read_text("utf-8", "replace").rstrip() for path in files]
    # As people see it: `interrupted` where nobody drives the search.
    trial = next(trial for trial in record.ranking() if trial.number == number)
    entries = record.epochs(number)
    state = [trial.state, *filter(None, [text.assignments(trial.point)])]
    head = f"{record.name}, trial {number}: {', '.join(state)}"
    rest = len(entries) - _EPOCHS
    more = [f"... and {rest} epochs before"] if rest > 0 else []
    table = ["", _epochs(entries[-_EPOCHS:]), ""] if entries else []
    return [head, *more, *table, *filter(None, (*printed, _end(record, number)))]


def _epochs(entries: Sequence[Mapping[str, float]]) -> Columns:
    """The scored epochs, losses and accuracies first."""
    first = ["train/loss", *text.SHOWN, "lr", "images_per_second"]
    known = dict.fromkeys(name for entry in entries for name in entry)
    shown = [name for name in first if name in known]
    columns = [
        Column(
            head=_HEADS.get(name, name.removeprefix("val/")),
            cells=[text.score(name, entry.get(name)) for entry in entries],
            rank=rank,
        )
        for rank, name in enumerate(shown, 1)
    ]
    numbers = [f"{entry['epoch']:.0f}" for entry in entries]
    return Columns([Column(head="epoch", cells=numbers), *columns])


def follow(
    record: Record, number: int, write: Callable[[str], None], driven: Callable[[], bool]
) -> None:
    """Pass on what a trial prints until it has ended, or nobody drives the study any more.

    Raises:
        InputError: the study has no such trial.
    """
    folder = _folder(record, number)
    offsets: dict[Path, int] = {}
    while True:
        bucket.trial_folder(record, number, whole=False)
        # Asked before the files are read, so that they hold all that was printed until then.
        last = record.outcome(number).over or not driven()
        for piece in _new_text(folder, offsets):
            write(piece)
        if last:
            break
        time.sleep(PERIOD)
    for path in _errors(folder):
        write(path.read_text("utf-8", "replace"))
    if end := _end(record, number):
        write(end + "\n")


def _folder(record: Record, number: int) -> Path:
    numbers = [trial.number for trial in record.outcomes() if trial.state != "waiting"]
    if number not in numbers:
        known = f"trials 0 to {numbers[-1]}" if numbers else "no trials yet"
        raise InputError(
            f"TRIAL: must be a trial that {record.name} has begun, but got {number}; "
            f"it has {known}"
        )
    return bucket.trial_folder(record, number, whole=False)


def _new_text(folder: Path, offsets: dict[Path, int]) -> Iterator[str]:
    """What was added to the files; `offsets` remembers how far they were read."""
    for path in _printed(folder):
        with path.open("rb") as file:
            file.seek(offsets.get(path, 0))
            added = file.read()
            offsets[path] = file.tell()
        if added:
            yield added.decode("utf-8", "replace")


def _printed(folder: Path) -> list[Path]:
    """The files of what was printed: one, or one for each worker."""
    return sorted(folder.glob("output*.txt"))


def _errors(folder: Path) -> list[Path]:
    return sorted(folder.glob("error*.txt"))


def _end(record: Record, number: int) -> str:
    trial = record.outcome(number)
    if trial.state == "failed":
        return f"Failed: {trial.failure}"
    return "" if trial.over or trial.last else "No epoch is scored yet."
