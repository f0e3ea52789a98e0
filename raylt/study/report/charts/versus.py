"""Two methods with the same budget, in one chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raylt.schema import InputError
from raylt.study.record.record import Record
from raylt.study.report import versus
from raylt.study.report.charts import figure, parts
from raylt.study.report.charts.figure import Axis, Chart, Dash, Line, Mark, Points, Symbol

_NAME = ("versus", "Two methods at equal cost")
_STYLES: tuple[tuple[str, Dash, Symbol], ...] = (
    (figure.VERMILION, "solid", "circle"),
    (figure.BLUE, "dash", "square"),
)


def charts(record: Record) -> tuple[Chart, ...]:
    """The best so far of a study and its rival over what both cost; none without a rival."""
    try:
        comparison = versus.beside(record)
    except InputError as error:
        return (figure.nothing(*_NAME, str(error)),)
    if comparison is None:
        return ()
    if any(study["best"] is None for study in comparison["studies"]):
        return (figure.nothing(*_NAME, "a method has no finished trial yet"),)
    return (_chart(comparison),)


def _chart(comparison: Mapping[str, Any]) -> Chart:
    metric, studies = comparison["metric"], comparison["studies"]
    unit, seconds = parts.time_unit(max(study["curve"][-1]["seconds"] for study in studies))
    marks: list[Mark] = []
    for study, (colour, dash, symbol) in zip(studies, _STYLES, strict=True):
        scored = [step for step in study["curve"] if step["best"] is not None]
        x = tuple(step["seconds"] / seconds for step in scored)
        y = tuple(parts.scaled(metric, step["best"]) for step in scored)
        hover = tuple(f"{study['study']}, trial {step['trial']}" for step in scored)
        best, ended = (f"{study['method']}, {what}" for what in ("best so far", "a trial ended"))
        marks += [
            Line(name=best, x=x, y=y, colour=colour, dash=dash, width=3, steps=True, hover=hover),
            Points(name=ended, x=x, y=y, colour=colour, symbol=symbol, hover=hover),
        ]
    heights = [height for mark in marks for height in mark.y]
    x, y = (comparison["cost"] / seconds,) * 2, (min(heights), max(heights))
    marks.append(Line(name="what both have cost", x=x, y=y, colour=figure.BLACK, dash="dot"))
    scores = ", ".join(_score_at_cost(study, metric) for study in studies)
    return figure.plot(
        *_NAME,
        f"At the cost that both have spent: {scores}. Equal but for the method; one "
        f"seed each, on validation images. Time is that of all trials added up.",
        x=Axis(f"{unit} of all trials"),
        y=Axis(f"best {parts.axis_title(metric)}"),
        marks=marks,
    )


def _score_at_cost(study: Mapping[str, Any], metric: str) -> str:
    value = study["best_at_cost"]
    score = "nothing yet" if value is None else f"{parts.scaled(metric, value):.1f}"
    return f"{study['method']} {score}"
