"""The charts of studies and trials: described once, drawn by plotly and by matplotlib."""

from __future__ import annotations

from raylt.study.record.record import Record
from raylt.study.report.charts import class_changes, classes, figure, search, versus
from raylt.study.report.charts.figure import Axis, Chart, Dash, Panel

_CURVES: tuple[tuple[str, str, Dash, float], ...] = (
    ("val/accuracy", figure.BLUE, "solid", 3),
    ("val/many", figure.BLACK, "dash", 2),
    ("val/medium", figure.ORANGE, "dashdot", 2),
    ("val/few", figure.VERMILION, "dot", 2),
    ("val/knn", figure.GREEN, "solid", 1),
)


def of_study(record: Record) -> tuple[Chart, ...]:
    """The charts of a study; the one of two methods is there only for a study with a rival."""
    return (
        *versus.charts(record),
        *search.charts(record),
        class_changes.chart(record),
        *classes.of_study(record),
    )


def of_trial(record: Record, number: int) -> tuple[Chart, ...]:
    """The charts of one trial: its learning curves, its confusions, its accuracy by class."""
    one = record.outcome(number)
    lines = tuple(
        search.curve(record, one, metric, (metric.removeprefix("val/"), colour, dash, width))
        for metric, colour, dash, width in _CURVES
        if metric in one.last
    )
    curves = Chart(
        key="curves",
        title=f"Trial {number}: learning curves",
        caption="On the validation images.",
        body=(Panel(title="", x=Axis("epoch"), y=Axis("accuracy (%)"), marks=lines),),
    )
    return (*([curves] if lines else []), *classes.of_trial(record, number))
