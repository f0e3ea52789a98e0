"""Who gained and who paid: what the best setting changed for each class.

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
from raylt.study.report.charts import classes, figure
from raylt.study.report.charts.figure import Axis, Bars, Chart, Panel
from raylt.study.verdict import confirmation
from raylt.trial.evaluation.classes import read

_KEY, _TITLE = "paid", "Who gained and who paid"


def chart(record: Record) -> Chart:
    """What each class gained or lost against the baseline, in points."""
    found = confirmation.stored(record)
    tested = [each for each in found["candidates"] if each["paid"]] if found else []
    if found is not None and tested:
        best = record.best()
        number = best.number if best else None
        chosen = next((one for one in tested if one["runs"]["trial"] == number), tested[0])
        return _tested(chosen, seeds=len(found["seeds"]))
    return _seen(record)


def _tested(candidate: Mapping[str, Any], *, seeds: int) -> Chart:
    paid = candidate["paid"]
    changes: Sequence[Mapping[str, float] | None] = paid["classes"]
    gain = [math.nan if each is None else 100 * each["mean"] for each in changes]
    ends = [
        (math.nan, math.nan) if each is None else (100 * each["low"], 100 * each["high"])
        for each in changes
    ]
    return _drawn(
        paid["train_counts"],
        gain,
        ends,
        caption=f"Trial {candidate['runs']['trial']} against the baseline on the test images, "
        f"means over {seeds} seeds; the whiskers are 95 % over other test images. "
        f"{paid['sentence']}.",
    )


def _seen(record: Record) -> Chart:
    best, baseline = record.best(), record.baseline()
    found = read(record.trial_folder(best.number)) if best else None
    other = read(record.trial_folder(baseline.number)) if baseline else None
    if best is None or baseline is None or found is None or other is None:
        why = "it needs the classes of the best trial and the baseline"
        return figure.nothing(_KEY, _TITLE, why)
    if best.number == baseline.number:
        return figure.nothing(_KEY, _TITLE, "the baseline is the best trial")
    if found.train_counts != other.train_counts:
        why = "the best trial and the baseline saw different training images"
        return figure.nothing(_KEY, _TITLE, why)
    counts = found.train_counts
    gain = 100 * (found.last.per_class(len(counts)) - other.last.per_class(len(counts)))
    groups = metrics.groups(counts, by="thresholds")
    means = ", ".join(
        f"{name} {np.nanmean(gain[list(groups[name])]):+.1f}"
        for name, *_ in classes.GROUPS
        if name in groups and not np.isnan(gain[list(groups[name])]).all()
    )
    return _drawn(
        counts,
        list(map(float, gain)),
        None,
        caption=f"Trial {best.number} against the baseline, trial {baseline.number}: {means} "
        f"points. One seed each, on validation images: a sign of where to look, not a proof.",
    )


def _drawn(
    counts: Sequence[int],
    gain: Sequence[float],
    ends: Sequence[tuple[float, float]] | None,
    *,
    caption: str,
) -> Chart:
    """Bars of the gains, classes with more training images first.

    Args:
        counts: Training images of each class.
        gain: Points that each class gained; NaN for one without an image.
        ends: The interval of each, or None.
        caption: What the chart shows.
    """
    order = [k for k in classes.largest_first(counts) if not math.isnan(gain[k])]
    groups = {name: set(one) for name, one in metrics.groups(counts, by="thresholds").items()}
    marks: list[Bars] = []
    for name, colour, hatch in classes.GROUPS:
        there = [(i, k) for i, k in enumerate(order) if k in groups.get(name, ())]
        if there:
            marks.append(
                Bars(
                    name=name,
                    colour=colour,
                    hatch=hatch,
                    x=tuple(float(i) for i, _ in there),
                    y=tuple(gain[k] for _, k in there),
                    ends=tuple(ends[k] for _, k in there) if ends else (),
                    touching=len(order) > classes.BARS,
                    told=tuple(
                        f"class {k}: {gain[k]:+.1f} points, {counts[k]} images" for _, k in there
                    ),
                )
            )
    return Chart(
        key=_KEY,
        title=_TITLE,
        caption=caption,
        body=(
            Panel(
                title="",
                x=classes.classes_axis(order),
                y=Axis("gain in accuracy (points)"),
                marks=tuple(marks),
            ),
        ),
    )
