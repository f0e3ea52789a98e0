"""Which metrics a study looks at, and whether there are classes for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raylt import metrics
from raylt.space.metric_names import BEST
from raylt.space.plan import Study


def metrics_of(study: Study) -> Iterator[tuple[str, str]]:
    """Every metric that a study looks at: its key in the space file, and the metric."""
    several = len(study.objective) > 1
    for i, objective in enumerate(study.objective):
        yield f"study.objective{f'.{i}' if several else ''}", objective.metric
    for i, constraint in enumerate(study.constraints):
        yield f"study.constraints.{i}.metric", constraint.metric
    if study.stops_early:
        yield "study.scheduler.metric", study.watched


def no_classes(metric: str, counts: Sequence[int]) -> str | None:
    """Why a metric over a shot group has no value, or None where it has classes.

    Args:
        metric: Such as `val/few`, `val/thirds/few` or `val/shots/std`.
        counts: Training images of each class, (classes,).
    """
    group = metric.removeprefix("val/").removeprefix("best/").removeprefix("thirds/")
    by = "thirds" if "thirds/" in metric else "thresholds"
    present = metrics.groups(counts, by=by)
    if group == "shots/std":
        group = next((name for name in ("many", "medium", "few") if name not in present), "")
    if group not in ("many", "medium", "few") or group in present:
        return None
    rule = {"many": "> 100", "medium": "20 to 100", "few": "< 20"}[group]
    size = f"a class with {rule} training images" if by == "thresholds" else "three classes"
    return (
        f"must be a group that has classes, but got {metric}, which needs {size}, and the "
        f"training counts are {_range(counts)}; there are {', '.join(present)}"
    )


def best_epoch_warnings(study: Study) -> Iterator[str]:
    """A warning for each objective that is of the best epoch."""
    for key, metric in metrics_of(study):
        if key.startswith("study.objective") and metric.startswith(BEST):
            yield (
                f"{key}: {metric} is of the best epoch on the validation images, so luck "
                f"flatters it, the more so the more epochs are scored; `raylt confirm` compares "
                f"{metric.replace('val/', 'test/', 1)}, which luck does not flatter"
            )


def _range(counts: Sequence[int]) -> str:
    largest_first = sorted(counts, reverse=True)
    if len(counts) <= 12:
        return ", ".join(map(str, largest_first))
    return f"{', '.join(map(str, largest_first[:4]))}, ... {largest_first[-1]}"
