"""Rank the trials of several studies, where their numbers mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylt.plugins import did_you_mean
from raylt.schema import InputError
from raylt.space.plan import METRICS
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, duration, plain, score
from raylt.study.report import status
from raylt.study.verdict import test_openings

_EVALUATION = ("labels", "probe")
"""What of a recipe's evaluation decides whether two scores mean the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The finished trials of several studies in one order."""

    metric: str
    ranking: tuple[tuple[Record, Outcome], ...]
    """Best first."""
    studies: tuple[Record, ...]
    warnings: tuple[str, ...]
    """Why the numbers may not mean the same, where that was forced."""


def compare(records: Sequence[Record], *, metric: str | None, force: bool) -> Comparison:
    """Rank the finished trials of studies that saw the same data in the same way.

    Args:
        records: The studies.
        metric: What to rank by; the objective of the first study where None.
        force: Whether to rank anyway where the data or the evaluation differ.

    Raises:
        InputError: the data or the evaluation differ, or a study has no finished trial with the
            metric.
    """
    wanted = metric or records[0].objectives[0].metric
    if wanted not in METRICS:
        raise InputError(
            f"--metric must be one that every method reports, but got {wanted!r}"
            f"{did_you_mean(wanted, METRICS)}; known: {', '.join(METRICS)}"
        )
    differences = _differences(records)
    if differences and not force:
        raise InputError(
            f"{differences[0]}; such numbers do not compare: search both on the same data in the "
            f"same way, or rank them anyway with --force"
        )
    found: list[tuple[Record, Outcome]] = []
    for record in records:
        complete = [one for one in record.outcomes() if one.state == "complete"]
        scored = [one for one in complete if wanted in one.last]
        if not scored:
            raise InputError(
                f"{record.name} must have a finished trial with {wanted}, but has none; go on "
                f"with `raylt resume {record.name}`, or choose another --metric"
            )
        found += [(record, one) for one in scored]
    sign = -1 if METRICS[wanted] == "maximize" else 1
    found.sort(key=lambda pair: (sign * pair[1].last[wanted], pair[0].name, pair[1].number))
    return Comparison(
        metric=wanted, ranking=tuple(found), studies=tuple(records), warnings=tuple(differences)
    )


def values(found: Comparison) -> dict[str, Any]:
    """A comparison as plain values."""
    return {
        "metric": found.metric,
        "warnings": list(found.warnings),
        "studies": [_study(record) for record in found.studies],
        "ranking": [
            {"rank": rank, "study": record.name, **status.trial(one)}
            for rank, (record, one) in enumerate(found.ranking, 1)
        ],
    }


def text(found: Comparison, *, lines: int) -> str:
    """A comparison for people: a line for each study, then the best `lines` trials."""
    shown = list(dict.fromkeys([found.metric, *SHOWN]))
    heads = [
        "rank",
        "study",
        "trial",
        "method",
        *(m.removeprefix("val/") for m in shown),
        "time",
        "leaves",
    ]
    rows = [heads]
    for rank, (record, one) in enumerate(found.ranking[:lines], 1):
        star = "*" if one.role == "baseline" else ""
        rows.append(
            [
                str(rank),
                record.name,
                f"{one.number}{star}",
                one.recipe["method"]["name"],
                *(score(metric, one.last.get(metric)) for metric in shown),
                duration(one.seconds),
                " ".join(f"{path}={plain(value)}" for path, value in one.point.items()),
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    rest = len(found.ranking) - (len(rows) - 1)
    more = [f"... and {rest} more finished trials"] if rest else []
    return "\n".join(
        [
            *(_sentence(record) for record in found.studies),
            "",
            *table,
            *more,
            "",
            "* a baseline; one seed each, on the validation images",
        ]
    )


def _differences(records: Sequence[Record]) -> list[str]:
    """What makes the numbers of studies mean different things, in sentences."""
    first, *others = records
    found: list[str] = []
    for other in others:
        prints = first.facts["fingerprint"], other.facts["fingerprint"]
        if prints[0] != prints[1]:
            found.append(
                f"{first.name} and {other.name} must have seen the same data, but their "
                f"fingerprints are {prints[0]} and {prints[1]}"
            )
        found += [
            f"{first.name} and {other.name} must be scored alike, but evaluation.{key} is "
            f"{one} and {another}"
            for key in _EVALUATION
            if (one := _evaluated(first, key)) != (another := _evaluated(other, key))
        ]
    return found


def _evaluated(record: Record, key: str) -> str:
    """The values of a key of the evaluation over the trials of a study."""
    recipes: list[Mapping[str, Any]] = [one.recipe for one in record.outcomes() if one.recipe]
    return ", ".join(sorted({str(recipe["evaluation"][key]) for recipe in recipes})) or "unknown"


def _study(record: Record) -> dict[str, Any]:
    best = record.best()
    outcomes = record.outcomes()
    return {
        "study": record.name,
        "fingerprint": record.facts["fingerprint"],
        "trials": len(outcomes),
        "seconds": sum(one.seconds for one in outcomes),
        "best": None if best is None else best.number,
    }


def _sentence(record: Record) -> str:
    found = _study(record)
    return (
        f"{record.name}: {found['trials']} trials in {duration(found['seconds'])} of training, "
        f"{test_openings.sentence(record)}"
    )
