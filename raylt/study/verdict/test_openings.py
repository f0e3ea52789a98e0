"""The ledger of the sealed test set: every opening is written down before an image is looked at.

The count stands beside every result of the study: a number that was looked at ten times is worth
less than one that was looked at once.
"""

from __future__ import annotations

import datetime
import getpass
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raylt.study.record.record import Record

_FACT = "test_openings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One look at the test set."""

    who: str
    """User and machine."""
    when: str
    """ISO 8601, UTC."""
    recipes: tuple[str, ...]
    """Digests of all recipes that were scored, sorted."""


def openings(record: Record) -> tuple[Opening, ...]:
    """Every opening of a study's test set, the first one first."""
    found: list[dict[str, Any]] = record.facts.get(_FACT, [])
    return tuple(
        Opening(who=each["who"], when=each["when"], recipes=tuple(each["recipes"]))
        for each in found
    )


def open_test(record: Record, recipes: Sequence[str]) -> Opening:
    """Write an opening down, to be called before the test set is read.

    Going on with an opening that was cut short, for exactly the same recipes, is no new one.

    Args:
        record: The study; the caller holds its lock.
        recipes: Digests of the recipes that are going to be scored.
    """
    before = openings(record)
    wanted = tuple(sorted(recipes))
    if before and before[-1].recipes == wanted:
        return before[-1]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    made = Opening(who=_who(), when=now, recipes=wanted)
    record.note(_FACT, [asdict(each) for each in (*before, made)])
    return made


def sentence(record: Record) -> str:
    """How often the test set was opened, in words."""
    found = openings(record)
    if not found:
        return "test set never opened"
    return f"test set opened {len(found)}x, last {found[-1].when} by {found[-1].who}"


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
