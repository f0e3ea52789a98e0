"""Which trials of a study come from earlier ones, as its record says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import as_sentence

FACT = "warm_start"
"""The fact with what a study began with, the fields of `carried.WarmStart`."""


def origins(record: Record) -> dict[int, Mapping[str, Any]]:
    """The trials that come from earlier studies, by their numbers: each with its `source`, `trial`
    and what `carried.Carried` has more."""
    if not _points(record):
        return {}
    known = {outcome.number: _origin(record, outcome) for outcome in record.outcomes()}
    return {number: entry for number, entry in known.items() if entry is not None}


def sentences(record: Record) -> list[str]:
    """Where the first trials of a study come from, and which of its sources gave nothing."""
    known = [(n, entry["source"], entry["trial"]) for n, entry in origins(record).items()]
    fact = record.facts.get(FACT, {})
    again = "it was" if len(known) == 1 else "they were"
    counts = "trained again, and only that counts here."
    result = [f"{sentence(known)}; {again} {counts}"] if known else []
    result += map(as_sentence, fact.get("unused", ()))
    if entries := fact.get("prior"):
        result.append(
            f"The sampler began with a prior from {len(entries)} earlier trials, which are not "
            f"among its own."
        )
    return result


def tag(record: Record, outcome: Outcome) -> str | None:
    """Where a trial comes from, as `bcl-20, trial 7`; None for all others."""
    entry = _origin(record, outcome)
    return None if entry is None else named(entry["source"], entry["trial"])


def sentence(known: Sequence[tuple[int, str, int | None]]) -> str:
    """`trials 1-3 come from bcl-20 (its trials 7, 3, 12), trial 4 from best.json`.

    Args:
        known: The number, source and number there of each trial.
    """
    parts: list[str] = []
    for source, group in itertools.groupby(sorted(known, key=_by_source(known)), lambda k: k[1]):
        here, there = zip(*((number, trial) for number, _, trial in group), strict=True)
        come = "" if parts else " comes" if len(here) == 1 else " come"
        trials = ", ".join(str(number) for number in there if number is not None)
        its = f" (its trial{'s' * (len(there) > 1)} {trials})" if trials else ""
        parts.append(f"trial{'s' * (len(here) > 1)} {_ranges(here)}{come} from {source}{its}")
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]


def named(source: str, trial: int | None) -> str:
    """A trial of a source."""
    return source if trial is None or trial < 0 else f"{source}, trial {trial}"


def _points(record: Record) -> Sequence[Mapping[str, Any]]:
    return record.facts.get(FACT, {}).get("points", ())


def _origin(record: Record, outcome: Outcome) -> Mapping[str, Any] | None:
    # By its point: a trial that failed and runs again has another number.
    same = (entry for entry in _points(record) if dict(outcome.point) == entry["point"])
    return next(same, None) if outcome.role == "warm" else None


def _by_source(known: Sequence[tuple[int, str, int | None]]) -> Any:
    order = list(dict.fromkeys(source for _, source, _ in known))
    return lambda entry: (order.index(entry[1]), entry[0])


def _ranges(numbers: Sequence[int]) -> str:
    """`1-3, 5` for 1, 2, 3 and 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
