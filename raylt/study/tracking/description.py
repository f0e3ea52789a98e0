"""A study in words, as MLflow shows it beside the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raylt import escape
from raylt.study.cost import executions
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, at, percent, scores, short
from raylt.study.tracking.views import LABELS, Kind
from raylt.study.verdict import confirmation

_LINES = 20
"""Trials in the description; MLflow cuts a longer text."""


def verdict(record: Record) -> list[str]:
    """What a study has found, in sentences, and how often its test set was opened."""
    best = record.best()
    lines: list[str] = []
    if best is not None:
        place = f"Best: trial {best.number}," if record.searched else "The model reaches"
        lines = [f"{place} {', '.join(scores(best.last))}."]
    opened, *confirmed = confirmation.brief(record)
    if confirmation.stored(record) is None:
        return [*lines, opened, *confirmed]
    # What holds over fresh seeds says more than the search that chose among its own.
    return [*confirmed, *lines, opened]


def linked(pages: Mapping[Kind, str]) -> list[str]:
    """A line of links to the pages of a study; they hold on every host and port of a server."""
    line = " · ".join(f"[{LABELS[kind].capitalize()}]({place})" for kind, place in pages.items())
    return [line] if pages else []


def description(record: Record, *, command: str, pages: Mapping[Kind, str]) -> str:
    """The study in Markdown: pages, verdict, ranking, baseline, pixel baseline, commands."""
    ranking = [outcome for outcome in record.ranking() if outcome.state != "waiting"]
    baseline = record.space.study.baseline
    paragraphs = map(escape.markdown, verdict(record))
    # MLflow shows the first lines and folds the rest; the study's name stands above them.
    lines = ["\n\n".join([*linked(pages), *paragraphs]), ""]
    lines += _table(ranking[:_LINES], [leaf.path for leaf in record.space.leaves])
    if len(ranking) > _LINES:
        lines.append(f"\n... and {len(ranking) - _LINES} more trials.")
    if baseline is not None:
        lines += ["", f"\\* the baseline: {escape.markdown(baseline.source)}"]
    if floor := record.facts["floor"]:
        levels = [f"{key.removeprefix('floor/')} {percent(v)}" for key, v in floor.items()]
        lines += ["", f"Pixel baseline: {', '.join(levels)}"]
    lines += _encoders(record)
    for machine, step, words in executions.rows(record):
        lines += ["", f"Steps of {step} on {machine}: {words}"]
    first = record.facts.get("command", "")
    if first:
        lines += ["", f"Begun with {escape.code(first)}"]
    if command and command != first:
        lines += ["", f"Then {escape.code(command)}"]
    return "\n".join(lines)


def _encoders(record: Record) -> list[str]:
    """What is known of encoders that begin trained or come from a library."""
    lines: list[str] = []
    for encoder in record.facts.get("encoders", ()):
        begun = "published weights" if encoder["pretrained"] else encoder["weights"]
        from_file = f", SHA-256 {encoder['sha256']}" if encoder["sha256"] else ""
        lines += [
            "",
            f"Encoder {encoder['name']} at size {encoder['size']}: {encoder['width']} features, "
            f"begun from {begun or 'random weights'}{from_file}"
            f"{', frozen' if encoder['freeze'] else ''}; pixels are normalised by the mean "
            f"{encoder['mean']} and the deviation {encoder['std']}",
        ]
    return lines


def _table(outcomes: Sequence[Outcome], paths: Sequence[str]) -> list[str]:
    heads = ["trial", "state", "epoch", *short(paths), *(m.removeprefix("val/") for m in SHOWN)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for trial in outcomes:
        cells = [
            f"{trial.number}{' *' if trial.role == 'baseline' else ''}",
            trial.state,
            str(trial.epoch),
            *(escape.markdown(at(trial.point, path)) for path in paths),
            *(percent(trial.last.get(metric)) for metric in SHOWN),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
