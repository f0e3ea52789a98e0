"""The charts of studies and trials: described once, drawn by plotly and by matplotlib."""

from __future__ import annotations

from raylt.study.record.record import Record
from raylt.study.report.charts import ablation, class_changes, classes, figure, search, versus
from raylt.study.report.charts.figure import Axis, Chart

_CURVES: tuple[tuple[str, search.Style], ...] = (
    ("val/accuracy", ("accuracy", figure.BLUE, "solid", 3)),
    ("val/many", ("many", figure.BLACK, "dash", 2)),
    ("val/medium", ("medium", figure.ORANGE, "dashdot", 2)),
    ("val/few", ("few", figure.VERMILION, "dot", 2)),
    ("val/knn", ("knn", figure.GREEN, "solid", 1)),
)


def of_study(record: Record) -> tuple[Chart, ...]:
    """The charts of a study; those of two methods and of an ablation only where there is one."""
    return (
        *versus.charts(record),
        *search.charts(record),
        class_changes.chart(record),
        *ablation.charts(record),
        *classes.of_study(record),
    )


def of_trial(record: Record, number: int) -> tuple[Chart, ...]:
    """The charts of one trial: its learning curves, its confusions, its accuracy by class."""
    trial = record.outcome(number)
    lines = [
        search.curve(record, trial, metric, style)
        for metric, style in _CURVES
        if metric in trial.last
    ]
    curves = figure.plot(
        "curves",
        f"Trial {number}: learning curves",
        "On the validation images.",
        x=Axis("epoch"),
        y=Axis("accuracy (%)"),
        marks=lines,
    )
    return (*([curves] if lines else []), *classes.of_trial(record, number))
