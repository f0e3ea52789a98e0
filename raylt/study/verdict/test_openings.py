"""How often a study's test set was opened: every opening is written down before it happens.

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
    facts: list[dict[str, Any]] = record.facts.get(_FACT, [])
    return tuple(
        Opening(who=fact["who"], when=fact["when"], recipes=tuple(fact["recipes"]))
        for fact in facts
    )


def open_test(record: Record, recipes: Sequence[str]) -> Opening:
    """Write an opening down, before the test set is read.

    The same recipes as last time are no new opening: the last one was interrupted and goes on.

    Args:
        record: The study; the caller holds its lock.
    """
    before = openings(record)
    digests = tuple(sorted(recipes))
    if before and before[-1].recipes == digests:
        return before[-1]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    opening = Opening(who=_user(), when=now, recipes=digests)
    record.note(_FACT, [asdict(entry) for entry in (*before, opening)])
    return opening


def sentence(record: Record) -> str:
    """How often the test set was opened, in words."""
    if not (known := openings(record)):
        return "test set never opened"
    when = known[-1].when[:16].replace("T", " ")
    return f"test set opened {len(known)}x, last on {when} UTC by {known[-1].who}"


def _user() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
