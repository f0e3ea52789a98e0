"""Charts over the classes: how many images they have, and which of them a trial gets right."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from raylt import metrics, recipe
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import class_names
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Bars, Chart, Grid, Line, Mark, Points
from raylt.trial.evaluation.classes import Classes, Scored, read

_MANY_CLASSES = 120
"""From more classes than this no table of shades is drawn, and bars touch."""
_TICKS = 30
"""Classes up to which their names stand at the axis."""
_LETTERS = 16
"""Letters of a name at an axis."""
_STYLES: tuple[tuple[str, str, figure.Hatch], ...] = (
    ("many", figure.BLUE, ""),
    ("medium", figure.ORANGE, "/"),
    ("few", figure.VERMILION, "x"),
)
"""How the bars of each shot group look."""
_CLASSES = ("classes", "Accuracy of each class")
_CONFUSION = ("confusion", "What was taken for what")
_DATA = ("data", "The training images")


def of_study(record: Record) -> tuple[Chart, ...]:
    """The accuracy by class of the best trial and the baseline, and the training images."""
    counts = train_counts(record)
    names = class_names(record.facts, len(counts or ()))
    return _best_and_baseline(record, names), histogram(counts, names)


def of_trial(record: Record, number: int) -> tuple[Chart, ...]:
    """The classes of one trial: its confusions and its accuracy by class."""
    table = read(record.trial_folder(number))
    if table is None:
        return ()
    counts = table.train_counts
    names = class_names(record.facts, len(counts))
    models = [(f"trial {number}", table.last)]
    return confusion(table.last, names), per_class(counts, models, names)


def table_of(record: Record, trial: Outcome | None) -> Classes | None:
    """The table of classes that a trial left, if there is the trial and its table."""
    return read(record.trial_folder(trial.number)) if trial else None


def train_counts(record: Record) -> tuple[int, ...] | None:
    """Training images of each class of a study, or None where nobody has counted them yet.

    Where the data section has open leaves, the counts are those of the best trial.
    """
    for trial in (record.best(), *record.outcomes()):
        if (table := table_of(record, trial)) is not None:
            return table.train_counts
    return recipe.dataset(record.space.fixed).train_counts()


def histogram(counts: Sequence[int] | None, names: Sequence[str]) -> Chart:
    """Training images of each class, largest first."""
    if counts is None:
        return figure.nothing(*_DATA, "no trial has read the data yet")
    order = largest_first(counts)
    bars = group_bars(
        counts,
        order,
        height=counts.__getitem__,
        hover=lambda k: f"class {names[k]}: {counts[k]} images",
    )
    return figure.plot(
        *_DATA,
        f"{sum(counts)} images of {len(counts)} classes; the largest has {max(counts)}, "
        f"the smallest {min(counts)}. Many is more than 100, few is fewer than 20.",
        x=class_axis(order, names),
        y=Axis("training images"),
        marks=[replace(group, name=f"{group.name} ({counted(len(group.x))})") for group in bars],
    )


def group_bars(
    counts: Sequence[int],
    order: Sequence[int],
    *,
    height: Callable[[int], float],
    hover: Callable[[int], str],
    interval: Callable[[int], tuple[float, float]] | None = None,
) -> list[Bars]:
    """A bar for each class in the given order, one mark for each shot group.

    Args:
        counts: Training images of each class, which decide its group.
        order: The classes to draw, from the left.
    """
    groups = metrics.groups(counts, by="thresholds")
    bars: list[Bars] = []
    for name, colour, hatch in _STYLES:
        places = {i: k for i, k in enumerate(order) if k in groups.get(name, ())}
        if places:
            bars.append(
                Bars(
                    name=name,
                    colour=colour,
                    hatch=hatch,
                    touching=len(order) > _MANY_CLASSES,
                    x=tuple(map(float, places)),
                    y=tuple(float(height(k)) for k in places.values()),
                    intervals=tuple(map(interval, places.values())) if interval else (),
                    hover=tuple(map(hover, places.values())),
                )
            )
    return bars


def per_class(
    counts: Sequence[int], models: Sequence[tuple[str, Scored]], names: Sequence[str]
) -> Chart:
    """Accuracy of each class on the validation images, classes with more training images first."""
    order = largest_first(counts)
    styles: tuple[tuple[str, figure.Symbol, figure.Dash], ...] = (
        (figure.VERMILION, "circle", "solid"),
        (figure.BLUE, "hollow", "dash"),
    )
    marks: list[Mark] = []
    for (name, scored), (colour, symbol, dash) in zip(models, styles, strict=False):
        accuracy = 100 * scored.per_class(len(counts))
        places = {i: k for i, k in enumerate(order) if not math.isnan(accuracy[k])}
        x = tuple(map(float, places))
        y = tuple(float(accuracy[k]) for k in places.values())
        hover = tuple(
            f"class {names[k]}: {accuracy[k]:.1f} %, {counts[k]} training images"
            for k in places.values()
        )
        marks += [
            Points(name=name, x=x, y=y, colour=colour, symbol=symbol, hover=hover),
            Line(name="", x=x, y=_running_means(y), colour=colour, width=1.5, dash=dash),
        ]
    return figure.plot(
        *_CLASSES,
        "On the validation images after the last epoch; classes are ordered by their training "
        "images, most first. The lines are running means.",
        x=class_axis(order, names),
        y=Axis("accuracy (%)"),
        marks=marks,
    )


def confusion(scored: Scored, names: Sequence[str]) -> Chart:
    """What was taken for what, as shares of the true class."""
    classes = len(names)
    if classes > _MANY_CLASSES:
        reason = f"a table of {classes} classes is too large to draw; see classes.json"
        return figure.nothing(*_CONFUSION, reason)
    table = scored.confusion(classes)
    totals = table.sum(1)
    shares = table / np.maximum(totals, 1)[:, None]
    ticks = tuple(map(_tick, names)) if classes <= _TICKS else ()
    return Chart(
        *_CONFUSION,
        f"Share of each true class on the validation images after epoch {scored.epoch}.",
        Grid(
            x=Axis("predicted class", ticks=ticks),
            y=Axis("true class", ticks=ticks),
            cells=tuple(tuple(row) for row in shares.tolist()),
            hover=tuple(
                tuple(
                    f"class {names[true]} taken for {names[predicted]}: {images} of "
                    f"{totals[true]} images"
                    for predicted, images in enumerate(row)
                )
                for true, row in enumerate(table)
            ),
        ),
    )


def _best_and_baseline(record: Record, names: Sequence[str]) -> Chart:
    best, baseline = record.best(), record.baseline()
    table, baseline_table = table_of(record, best), table_of(record, baseline)
    if best is None or table is None:
        return figure.nothing(*_CLASSES, "no finished trial has left a table of its classes")
    models = [(f"best, trial {best.number}" if record.searched else "", table.last)]
    same_data = baseline_table and baseline_table.train_counts == table.train_counts
    if baseline and baseline_table and same_data and baseline.number != best.number:
        models.append((f"baseline, trial {baseline.number}", baseline_table.last))
    return per_class(table.train_counts, models, names)


def largest_first(counts: Sequence[int]) -> list[int]:
    """Classes by their training images, the class with most images first."""
    return sorted(range(len(counts)), key=lambda k: (-counts[k], k))


def class_axis(order: Sequence[int], names: Sequence[str]) -> Axis:
    """The axis of classes in an order; their names stand at it where there is room."""
    if len(order) <= _TICKS:
        ticks = tuple(_tick(names[k]) for k in order)
        return Axis("class, most training images first", ticks=ticks)
    return Axis("classes, most training images first")


def _tick(name: str) -> str:
    """A name that has room at an axis."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def counted(number: int) -> str:
    """`1 class`, `2 classes`."""
    return "1 class" if number == 1 else f"{number} classes"


def _running_means(values: Sequence[float]) -> tuple[float, ...]:
    """Running means over a tenth of the values around each."""
    half = max(1, len(values) // 20)
    return tuple(
        float(np.mean(values[max(0, i - half) : i + half + 1])) for i in range(len(values))
    )
