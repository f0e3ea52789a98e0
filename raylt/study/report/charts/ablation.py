"""What each change brings, set back alone and taken over alone, as `raylt ablate` found it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raylt.study.record.record import Record
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Bars, Chart, Hatch, Line, Points
from raylt.study.verdict import ablation

_WAYS: tuple[tuple[str, str, str, Hatch], ...] = (
    ("whole", "all changes together", figure.GREY, ""),
    ("out", "lost when set back alone", figure.BLUE, ""),
    ("in", "gained when taken over alone", figure.ORANGE, "/"),
    ("declared", "lost without this part of the method", figure.GREEN, "x"),
)


def charts(record: Record) -> tuple[Chart, ...]:
    """The effects and the greedy path of each ablation of a study."""
    drawn: list[Chart] = []
    for result, suffix in ablation.with_charts(record):
        drawn += [_effects(result, f"ablation{suffix}")]
        drawn += [_path(result, f"path{suffix}")] if result["path"] else []
    return tuple(drawn)


def _effects(result: Mapping[str, Any], key: str) -> Chart:
    measured = [e for e in result["effects"] if e["verdict"]["mean"] is not None]
    bars: list[Bars] = []
    for way, name, colour, hatch in _WAYS:
        rows = {i: e for i, e in enumerate(measured) if e["subject"]["way"] == way}
        verdicts = [effect["verdict"] for effect in rows.values()]
        means = tuple(100 * verdict["mean"] for verdict in verdicts)
        bars.append(
            Bars(
                name=name,
                x=tuple(rows),
                y=means,
                colour=colour,
                hatch=hatch,
                horizontal=True,
                intervals=tuple(
                    (mean, mean) if v["low"] is None else (100 * v["low"], 100 * v["high"])
                    for mean, v in zip(means, verdicts, strict=True)
                ),
                hover=tuple(map(ablation.word, rows.values())),
            )
        )
    return figure.plot(
        key,
        "Which change matters",
        f"Trial {result['trial']} and the baseline in {result['metric']}, over "
        f"{len(result['seeds'])} seeds; the whiskers are 95 %.",
        x=Axis("points"),
        y=Axis("", ticks=tuple(effect["subject"]["name"] for effect in measured)),
        marks=[mark for mark in bars if mark.x],
    )


def _path(result: Mapping[str, Any], key: str) -> Chart:
    steps = [step for step in result["path"] if step["score"] is not None]
    scores, places = tuple(100 * step["score"] for step in steps), tuple(range(len(steps)))
    colour = figure.VERMILION
    return figure.plot(
        key,
        "The greedy path",
        "From the baseline downwards, at each step the change that gains most there; gains "
        "flatter, for each was the largest of several.",
        x=Axis(f"{result['metric']} after the step (%)"),
        y=Axis("", ticks=tuple(step["name"] for step in steps)),
        marks=[
            Line(name="", x=scores, y=places, colour=colour),
            Points(name="", x=scores, y=places, colour=colour),
        ],
    )
