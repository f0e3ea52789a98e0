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

_ABSENT = -0.12
"""Where a trial crosses the axis of a leaf that it does not have."""
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def parallel(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """Every scored trial as a line over its leaves and its results."""
    key, title = "parallel", "What was tried and what it brought"
    metric = record.objectives[0].metric
    scored = [one for one in ranking if metric in one.last]
    leaves = record.space.leaves
    if not leaves:
        return figure.nothing(key, title, "no leaf is open")
    if len(scored) < 2:
        return figure.nothing(key, title, "it needs two trials with a score")
    names = short([leaf.path for leaf in leaves])
    points = [one.point for one in scored]
    dimensions = [_leaf(each, name, points) for each, name in zip(leaves, names, strict=True)]
    dimensions.append(_numbers("epochs", [float(one.epoch) for one in scored], digits=0))
    common = [name for name in SHOWN if all(name in one.last for one in scored)]
    for name in dict.fromkeys([metric, *common]):
        values = [parts.shown(name, one.last[name]) for one in scored]
        dimensions.append(_numbers(parts.title(name), values, digits=1))
    best = record.best()
    strong = next((i for i, one in enumerate(scored) if best and one.number == best.number), None)
    return Chart(
        key=key,
        title=title,
        caption=f"{len(scored)} trials, each a line; its shade is {parts.title(metric)}. Trials "
        f"that were stopped early have fewer epochs and show the last of them.",
        body=Parallel(
            dimensions=tuple(dimensions),
            shade=tuple(parts.shown(metric, one.last[metric]) for one in scored),
            shade_title=parts.title(metric),
            strong=strong,
        ),
    )


def _leaf(leaf: Leaf, title: str, points: Sequence[Mapping[str, Value]]) -> Dimension:
    """The axis of a leaf, over its whole range; below its foot stand the trials without it."""
    words = parts.choices(leaf)
    if words:
        low, high, log = 0.0, float(max(1, len(words) - 1)), False
        ticks = [(_share(low, high, i, log=False), word) for i, word in enumerate(words)]
    else:
        low, high = (parts.place(leaf, end) for end in leaf.ends)
        log = leaf.log
        ticks = [(at, f"{_between(low, high, at, log=log):.3g}") for at in _TICKS]
    places = tuple(
        _share(low, high, parts.place(leaf, point[leaf.path]), log=log)
        if leaf.path in point
        else _ABSENT
        for point in points
    )
    if _ABSENT in places:
        ticks = [(_ABSENT, "absent"), *ticks]
    return Dimension(title=title, places=places, ticks=tuple(ticks))


def _numbers(title: str, values: Sequence[float], *, digits: int) -> Dimension:
    """An axis from the smallest to the largest value."""
    low, high = min(values), max(values)
    return Dimension(
        title=title,
        places=tuple(_share(low, high, value, log=False) for value in values),
        ticks=tuple((at, f"{_between(low, high, at, log=False):.{digits}f}") for at in _TICKS)
        if low < high
        else ((0.5, f"{low:.{digits}f}"),),
    )


def _share(low: float, high: float, value: float, *, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)
