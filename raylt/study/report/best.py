"""The best trial of a study against its baseline, and the command that trains it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from raylt.schema import InputError
from raylt.study.record.record import Outcome, Record
from raylt.study.record.text import SHOWN, plain, score
from raylt.study.report import status
from raylt.study.verdict import confirmation


def best(record: Record) -> dict[str, Any]:
    """The best trial and the baseline of a study, as plain values.

    Raises:
        InputError: no trial has finished and kept the constraints.
    """
    found = record.best()
    if found is None:
        states = (
            ", ".join(f"{n} {state}" for state, n in status.states_of(record).items()) or "none"
        )
        raise InputError(
            f"{record.name}: a trial must have finished and kept the constraints, but the trials "
            f"are: {states}; go on with `raylt resume {record.name}`"
        )
    baseline = record.baseline()
    return {
        "study": record.name,
        "objective": [objective.metric for objective in record.objectives],
        "best": status.trial(found),
        "baseline": None if baseline is None else status.trial(baseline),
        "retrain": _retrain(record, found),
        **status.confirmation_of(record),
    }


def best_text(record: Record) -> str:
    """The same for people."""
    plain_values = best(record)
    found, baseline = record.best(), record.baseline()
    assert found is not None
    lines = [f"{record.name}: trial {found.number} is the best of {len(record.outcomes())}", ""]
    rows = [("", "best", "baseline")]
    reference: Mapping[str, Any] = baseline.point if baseline else {}
    for path in (each.path for each in record.space.leaves):
        rows.append((path, _cell(found.point, path), _cell(reference, path)))
    scores: Mapping[str, Any] = baseline.last if baseline else {}
    wanted = dict.fromkeys([*(o.metric for o in record.objectives), *SHOWN])
    for name in (name for name in wanted if name in found.last):
        rows.append((name, score(name, found.last[name]), score(name, scores.get(name))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += ["", *confirmation.brief(record)]
    return "\n".join([*lines, "", f"Train it again: {plain_values['retrain']}"])


def _cell(values: Mapping[str, Any], path: str) -> str:
    return plain(values[path]) if path in values else "-"


def _retrain(record: Record, found: Outcome) -> str:
    values = [
        f"{path}={value if isinstance(value, str) else json.dumps(value)}"
        for path, value in found.point.items()
    ]
    file = record.folder / "space.yaml"
    return " ".join(["raylt train -s", str(file), "--study", f"{record.name}-best", *values])
