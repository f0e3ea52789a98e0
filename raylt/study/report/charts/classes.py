"""Charts over the classes: how many images they have, and which of them a trial gets right."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from raylt import metrics, recipe
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Bars, Chart, Grid, Line, Panel, Points
from raylt.trial.evaluation.classes import Classes, Scored, read

BARS = 120
"""Classes that are drawn one by one, in a table of shades or as bars beside each other."""
GROUPS: tuple[tuple[str, str, figure.Hatch], ...] = (
    ("many", figure.BLUE, ""),
    ("medium", figure.ORANGE, "/"),
    ("few", figure.VERMILION, "x"),
)
"""How the shot groups look."""


def of_study(record: Record) -> tuple[Chart, ...]:
    """The best trial's classes and the training images."""
    best, baseline = record.best(), record.baseline()
    found = read(record.trial_folder(best.number)) if best else None
    other = read(record.trial_folder(baseline.number)) if baseline else None
    return (
        _per_class_of(best, found, baseline, other),
        histogram(train_counts(record)),
    )


def of_trial(record: Record, number: int) -> tuple[Chart, ...]:
    """The classes of one trial: its confusions and its accuracy by class."""
    found = read(record.trial_folder(number))
    if found is None:
        return ()
    return confusion(found.last, classes=len(found.train_counts)), per_class(
        found.train_counts, [(f"trial {number}", found.last)]
    )


def train_counts(record: Record) -> tuple[int, ...] | None:
    """Training images of each class of a study, or None where nobody has counted them yet.

    Where the data section has open leaves, the counts are those of the best trial.
    """
    best = record.best()
    for one in [*([best] if best else []), *record.outcomes()]:
        if (found := read(record.trial_folder(one.number))) is not None:
            return found.train_counts
    return recipe.dataset(record.space.fixed).train_counts()


def histogram(counts: Sequence[int] | None) -> Chart:
    """Training images of each class, largest first."""
    key, title = "data", "The training images"
    if counts is None:
        return Chart(
            key=key,
            title=title,
            caption="Nothing to draw: no trial has read the data yet.",
            body=None,
        )
    order = largest_first(counts)
    groups = {name: set(one) for name, one in metrics.groups(counts, by="thresholds").items()}
    marks = tuple(
        Bars(
            name=f"{name} ({in_words(len(groups[name]))})",
            colour=colour,
            hatch=hatch,
            touching=len(counts) > BARS,
            x=tuple(float(i) for i, k in enumerate(order) if k in groups[name]),
            y=tuple(float(counts[k]) for k in order if k in groups[name]),
            told=tuple(f"class {k}: {counts[k]} images" for k in order if k in groups[name]),
        )
        for name, colour, hatch in GROUPS
        if name in groups
    )
    return Chart(
        key=key,
        title=title,
        caption=f"{sum(counts)} images of {len(counts)} classes; the largest has {max(counts)}, "
        f"the smallest {min(counts)}. Many is more than 100, few is fewer than 20.",
        body=(Panel(title="", x=classes_axis(order), y=Axis("training images"), marks=marks),),
    )


def per_class(counts: Sequence[int], models: Sequence[tuple[str, Scored]]) -> Chart:
    """Accuracy of each class on the validation images, classes with more training images first."""
    order = largest_first(counts)
    looks: tuple[tuple[str, figure.Symbol], ...] = (
        (figure.VERMILION, "circle"),
        (figure.BLUE, "hollow"),
    )
    marks: list[Points | Line] = []
    for (name, scored), (colour, symbol) in zip(models, looks, strict=False):
        accuracy = 100 * scored.per_class(len(counts))
        there = [(i, k) for i, k in enumerate(order) if not math.isnan(accuracy[k])]
        x = tuple(float(i) for i, _ in there)
        y = tuple(float(accuracy[k]) for _, k in there)
        told = tuple(
            f"class {k}: {accuracy[k]:.1f} %, {counts[k]} training images" for _, k in there
        )
        marks.append(Points(name=name, x=x, y=y, colour=colour, symbol=symbol, told=told))
        smooth = _smooth(y)
        marks.append(
            Line(
                name="",
                x=x,
                y=smooth,
                colour=colour,
                width=1.5,
                dash="solid" if symbol == "circle" else "dash",
            )
        )
    return Chart(
        key="classes",
        title="Accuracy of each class",
        caption="On the validation images after the last epoch; classes stand by their training "
        "images, most first. The lines are running means.",
        body=(Panel(title="", x=classes_axis(order), y=Axis("accuracy (%)"), marks=tuple(marks)),),
    )


def confusion(scored: Scored, *, classes: int) -> Chart:
    """What was taken for what, as shares of the true class."""
    key, title = "confusion", "What was taken for what"
    if classes > BARS:
        why = f"a table of {classes} classes is too fine; classes.json has it"
        return figure.nothing(key, title, why)
    table = scored.confusion(classes)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    ticks = tuple(str(k) for k in range(classes)) if classes <= 30 else ()
    return Chart(
        key=key,
        title=title,
        caption=f"Share of each true class on the validation images after epoch {scored.epoch}.",
        body=Grid(
            x=Axis("predicted class", ticks=ticks),
            y=Axis("true class", ticks=ticks),
            cells=tuple(tuple(float(cell) for cell in row) for row in shares),
            told=tuple(
                tuple(
                    f"class {true} taken for {predicted}: {table[true, predicted]} of "
                    f"{table[true].sum()} images"
                    for predicted in range(classes)
                )
                for true in range(classes)
            ),
        ),
    )


def _per_class_of(
    best: Outcome | None, found: Classes | None, baseline: Outcome | None, other: Classes | None
) -> Chart:
    if best is None or found is None:
        why = "the best trial has left no table of its classes"
        return figure.nothing("classes", "Accuracy of each class", why)
    models = [(f"best, trial {best.number}", found.last)]
    same = other is not None and other.train_counts == found.train_counts
    if baseline and other and same and baseline.number != best.number:
        models.append((f"baseline, trial {baseline.number}", other.last))
    return per_class(found.train_counts, models)


def largest_first(counts: Sequence[int]) -> list[int]:
    """Classes by their training images."""
    return sorted(range(len(counts)), key=lambda k: (-counts[k], k))


def classes_axis(order: Sequence[int]) -> Axis:
    """The axis of classes in an order; their numbers stand at it where there is room."""
    if len(order) <= 30:
        return Axis("class, most training images first", ticks=tuple(map(str, order)))
    return Axis("classes, most training images first")


def in_words(number: int) -> str:
    """So many classes."""
    return "1 class" if number == 1 else f"{number} classes"


def _smooth(values: Sequence[float]) -> tuple[float, ...]:
    """Running means over a tenth of the values around each."""
    half = max(1, len(values) // 20)
    return tuple(
        float(np.mean(values[max(0, i - half) : i + half + 1])) for i in range(len(values))
    )
