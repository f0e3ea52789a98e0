"""What a trial has printed, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from raylt.schema import InputError
from raylt.study.record import bucket
from raylt.study.record.record import Record

_PERIOD = 0.5
"""Seconds between two looks at the files of a trial that runs."""


def text(record: Record, number: int) -> str:
    """All that a trial printed, the traceback of its failure, and the failure in one line.

    Raises:
        InputError: the study has no such trial.
    """
    folder = _folder(record, number)
    parts = [path.read_text("utf-8", "replace") for path in (*_printed(folder), *_errors(folder))]
    found = "\n".join(part.rstrip() for part in parts if part.strip())
    return "\n".join(filter(None, (found, _end(record, number))))


def follow(
    record: Record, number: int, write: Callable[[str], None], there: Callable[[], bool]
) -> None:
    """Hand on what a trial prints until it has ended, or nobody drives the study any more.

    Args:
        record: The study, open to be read.
        number: The trial.
        write: Takes each piece of text.
        there: Whether somebody drives the study.

    Raises:
        InputError: the study has no such trial.
    """
    folder = _folder(record, number)
    read: dict[Path, int] = {}
    while True:
        bucket.trial_folder(record, number, whole=False)
        # Asked before the files are read: what was printed until then is in them.
        over = record.outcome(number).over or not there()
        for piece in _news(folder, read):
            write(piece)
        if over:
            break
        time.sleep(_PERIOD)
    for path in _errors(folder):
        write(path.read_text("utf-8", "replace"))
    if end := _end(record, number):
        write(end + "\n")


def _folder(record: Record, number: int) -> Path:
    numbers = [one.number for one in record.outcomes() if one.state != "waiting"]
    if number not in numbers:
        known = f"trials 0 to {numbers[-1]}" if numbers else "no trials yet"
        raise InputError(
            f"TRIAL: must be a trial that {record.name} has begun, but got {number}; "
            f"it has {known}"
        )
    return bucket.trial_folder(record, number, whole=False)


def _news(folder: Path, read: dict[Path, int]) -> Iterator[str]:
    """What the files hold more than before; `read` remembers how far they were read."""
    for path in _printed(folder):
        with path.open("rb") as file:
            file.seek(read.get(path, 0))
            found = file.read()
        read[path] = read.get(path, 0) + len(found)
        if found:
            yield found.decode("utf-8", "replace")


def _printed(folder: Path) -> list[Path]:
    """One file, or one for each worker."""
    return sorted(folder.glob("output*.txt"))


def _errors(folder: Path) -> list[Path]:
    return sorted(folder.glob("error*.txt"))


def _end(record: Record, number: int) -> str:
    one = record.outcome(number)
    if one.state == "failed":
        return f"Failed: {one.failure}"
    return "" if one.over or one.last else "No epoch is scored yet."
