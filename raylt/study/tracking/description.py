"""A study in words, as MLflow shows it beside the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, percent, plain, scores, short
from raylt.study.verdict import confirmation

_LINES = 20
"""Trials in the description; MLflow cuts a longer text."""


def verdict(record: Record) -> list[str]:
    """What a study has found, in sentences, and how often its test set was opened."""
    best = record.best()
    found = [] if best is None else [f"Best: trial {best.number}, {', '.join(scores(best.last))}."]
    opened, *told = confirmation.brief(record)
    # What holds over fresh seeds says more than the search that chose among its own.
    known = confirmation.stored(record) is not None
    return [*told, *found, opened] if known else [*found, opened, *told]


def description(record: Record, *, command: str) -> str:
    """The study in Markdown: the verdict, the ranking, the baseline, the floor, the command."""
    ranking = [one for one in record.ranking() if one.state != "waiting"]
    baseline = record.space.study.baseline
    lines = [f"# {record.name}", "", "\n\n".join(verdict(record)), ""]
    lines += _table(ranking[:_LINES], [leaf.path for leaf in record.space.leaves])
    if len(ranking) > _LINES:
        lines.append(f"\n... and {len(ranking) - _LINES} more trials.")
    if baseline is not None:
        lines += ["", f"\\* the baseline: {baseline.source}"]
    if floor := record.facts["floor"]:
        levels = [f"{key.removeprefix('floor/')} {percent(v)}" for key, v in floor.items()]
        lines += ["", f"Floor (raw pixels): {', '.join(levels)}"]
    begun = record.facts.get("command", "")
    for word, typed in (("Begun with", begun), ("Then", command if command != begun else "")):
        if typed:
            lines += ["", f"{word} `{typed}`"]
    return "\n".join(lines)


def _table(outcomes: Sequence[Outcome], paths: Sequence[str]) -> list[str]:
    heads = ["trial", "state", "epoch", *short(paths), *(m.removeprefix("val/") for m in SHOWN)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for one in outcomes:
        cells = [
            f"{one.number}{' *' if one.role == 'baseline' else ''}",
            one.state,
            str(one.epoch),
            *(plain(one.point[path]) if path in one.point else "-" for path in paths),
            *(percent(one.last.get(metric)) for metric in SHOWN),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
