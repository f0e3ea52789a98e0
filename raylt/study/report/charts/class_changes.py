"""What the best setting changed for each class: which classes gained, and which lost.

After `raylt confirm` over the seeds on the test images that it opened; before, a hint by one seed
on validation images. Nothing here opens the test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raylt import metrics
from raylt.study.record.record import Record
from raylt.study.record.text import class_names
from raylt.study.report.charts import classes, figure
from raylt.study.report.charts.figure import Axis, Chart
from raylt.study.verdict import confirmation
from raylt.study.verdict.class_changes import stored_sentence

_NAME = ("paid", "What each class gained or lost")


def chart(record: Record) -> Chart:
    """What each class gained or lost against the baseline, in points."""
    confirmed = confirmation.stored(record)
    tested = (
        [candidate for candidate in confirmed["candidates"] if candidate["paid"]]
        if confirmed
        else []
    )
    if confirmed is None or not tested:
        return _on_validation(record)
    best = record.best()
    number = best.number if best else None
    chosen = next((c for c in tested if c["runs"]["trial"] == number), tested[0])
    names = class_names(record.facts, len(chosen["paid"]["classes"]))
    return _on_test(chosen, names, seeds=len(confirmed["seeds"]))


def _on_test(candidate: Mapping[str, Any], names: Sequence[str], *, seeds: int) -> Chart:
    changes: Mapping[str, Any] = candidate["paid"]
    points = [
        [math.nan if change is None else 100 * change[key] for key in ("mean", "low", "high")]
        for change in changes["classes"]
    ]
    return _gain_bars(
        changes["train_counts"],
        names,
        [mean for mean, _, _ in points],
        [(low, high) for _, low, high in points],
        caption=f"Trial {candidate['runs']['trial']} against the baseline on the test images, "
        f"means over {seeds} seeds; the whiskers are 95 % over other test images. "
        f"By groups: {stored_sentence(changes)}.",
    )


def _on_validation(record: Record) -> Chart:
    if not record.searched:
        return figure.nothing(*_NAME, "one run has nothing to compare")
    best, baseline = record.best(), record.baseline()
    table, baseline_table = (classes.table_of(record, trial) for trial in (best, baseline))
    if best is None or baseline is None or table is None or baseline_table is None:
        reason = "the best trial or the baseline has left no table of its classes"
        return figure.nothing(*_NAME, reason)
    if best.number == baseline.number:
        return figure.nothing(*_NAME, "the baseline is the best trial")
    counts = table.train_counts
    if counts != baseline_table.train_counts:
        reason = "the best trial and the baseline saw different training images"
        return figure.nothing(*_NAME, reason)
    gain = 100 * (table.last.per_class(len(counts)) - baseline_table.last.per_class(len(counts)))
    groups = {name: gain[list(k)] for name, k in metrics.groups(counts, by="thresholds").items()}
    means = ", ".join(
        f"{name} {np.nanmean(gains):+.1f}"
        for name, gains in groups.items()
        if not np.isnan(gains).all()
    )
    return _gain_bars(
        counts,
        class_names(record.facts, len(counts)),
        gain.tolist(),
        None,
        caption=f"Trial {best.number} against the baseline, trial {baseline.number}: {means} "
        f"points. One seed each, on validation images: a sign of where to look, not a proof.",
    )


def _gain_bars(
    counts: Sequence[int],
    names: Sequence[str],
    gain: Sequence[float],
    intervals: Sequence[tuple[float, float]] | None,
    *,
    caption: str,
) -> Chart:
    """Bars of the gains, classes with more training images first.

    Args:
        gain: Points that each class gained; NaN for one without an image.
    """
    order = [k for k in classes.largest_first(counts) if not math.isnan(gain[k])]
    return figure.plot(
        *_NAME,
        caption,
        x=classes.class_axis(order, names),
        y=Axis("gain in accuracy (points)"),
        marks=classes.group_bars(
            counts,
            order,
            height=gain.__getitem__,
            hover=lambda k: f"class {names[k]}: {gain[k]:+.1f} points, {counts[k]} images",
            interval=intervals.__getitem__ if intervals else None,
        ),
    )
