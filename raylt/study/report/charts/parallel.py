"""Parallel coordinates: every scored trial as a line over its leaves and its results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from raylt.schema import Value
from raylt.space.leaf import Leaf
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, short
from raylt.study.report.charts import figure, parts
from raylt.study.report.charts.figure import Chart, Dimension, Parallel

_NAME = ("parallel", "What was tried and what it brought")
_ABSENT = -0.12
"""Where a trial crosses the axis of a leaf that it does not have."""


def parallel(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """Every scored trial as a line over its leaves and its results."""
    metric = record.objectives[0].metric
    scored = [trial for trial in ranking if metric in trial.last]
    leaves = record.space.leaves
    if not leaves:
        return figure.nothing(*_NAME, "no leaf is open")
    if len(scored) < 2:
        return figure.nothing(*_NAME, "fewer than two trials have a score")
    names = short([leaf.path for leaf in leaves])
    points = [trial.point for trial in scored]
    dimensions = [_leaf_axis(leaf, name, points) for leaf, name in zip(leaves, names, strict=True)]
    dimensions.append(number_axis("epochs", [float(trial.epoch) for trial in scored]))
    common = [name for name in SHOWN if all(name in trial.last for trial in scored)]
    for name in dict.fromkeys([metric, *common]):
        values = [parts.scaled(name, trial.last[name]) for trial in scored]
        dimensions.append(number_axis(parts.axis_title(name), values))
    best = record.best()
    return Chart(
        *_NAME,
        f"{len(scored)} trials, each a line; its shade is {parts.axis_title(metric)}. "
        f"Trials that were stopped early have fewer epochs and show the last of them.",
        Parallel(
            dimensions=tuple(dimensions),
            shade=tuple(parts.scaled(metric, trial.last[metric]) for trial in scored),
            shade_title=parts.axis_title(metric),
            strong=[trial.number for trial in scored].index(best.number) if best else None,
        ),
    )


def _leaf_axis(leaf: Leaf, title: str, points: Sequence[Mapping[str, Value]]) -> Dimension:
    """The axis of a leaf, over its whole range; below its foot stand the trials without it."""
    names = parts.choice_names(leaf)
    if names:
        low, high, log = 0.0, float(max(1, len(names) - 1)), False
        ticks = [(_share(low, high, i, log=False), name) for i, name in enumerate(names)]
    else:
        low, high = (parts.position(leaf, end) for end in leaf.ends)
        log = leaf.log
        ticks = [
            (_share(low, high, v, log=log), f"{v:g}")
            for v in figure.round_ticks(low, high, log=log)
        ]
    places = tuple(
        _share(low, high, parts.position(leaf, point[leaf.path]), log=log)
        if leaf.path in point
        else _ABSENT
        for point in points
    )
    if _ABSENT in places:
        ticks = [(_ABSENT, "absent"), *ticks]
    return Dimension(title=title, places=places, ticks=tuple(ticks))


def number_axis(title: str, values: Sequence[float]) -> Dimension:
    """An axis from the smallest to the largest value."""
    low, high = min(values), max(values)
    whole = [low] if low == high else figure.round_ticks(low, high, log=False)
    return Dimension(
        title=title,
        places=tuple(_share(low, high, value, log=False) for value in values),
        ticks=tuple((_share(low, high, value, log=False), f"{value:.4g}") for value in whole),
    )


def _share(low: float, high: float, value: float, *, log: bool) -> float:
    """How far a value is between two ends, from 0 to 1."""
    if low == high:
        return 0.5
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)
