"""The metrics that MLflow is given, each with its meaning and unit.

The study of record keeps every number to its last digit; MLflow gets those that people compare.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from raylt.space.plan import Study

Of = Literal["epoch", "trial", "study", "confirmation"]
"""What a number is of: a scored epoch, a trial that has ended, the study, or a confirmation."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric, or all that a pattern names."""

    name: str
    """Its name; `*` stands for any word."""
    of: Of
    meaning: str
    unit: str
    always: bool
    """Whether MLflow gets it even if no objective and no constraint of the study names it."""


_ROWS: Mapping[Of, Mapping[str, tuple[str, str]]] = {
    "epoch": {
        "val/accuracy": ("accuracy on the validation images, each class alike", "fraction"),
        "val/many": (
            "the same as val/accuracy over classes with more than 100 training images",
            "fraction",
        ),
        "val/medium": (
            "the same as val/accuracy over classes with 20 to 100 training images",
            "fraction",
        ),
        "val/few": (
            "the same as val/accuracy over classes with fewer than 20 training images",
            "fraction",
        ),
        "val/knn": ("accuracy by the nearest neighbours among the features", "fraction"),
        "val/worst": ("accuracy of the class with the lowest one", "fraction"),
        "val/harmonic": ("harmonic mean of the classes' accuracies", "fraction"),
        "val/thirds/*": ("many, medium and few as thirds of the classes", "fraction"),
        "val/thirds/std": ("deviation between the three thirds", "fraction"),
        "val/shots/std": ("deviation between many, medium and few", "fraction"),
        "val/std": ("val/thirds/std under its earlier name", "fraction"),
        "val/best/*": ("the epoch with the best val/accuracy so far", "fraction"),
        "cost/seconds": (
            "wall-clock time of the trial up to this score, over all attempts",
            "s",
        ),
        "train/loss": ("sum of the weighted terms of the loss", "nat"),
        "train/*": ("one weighted term of the loss", "nat"),
        "lr": ("learning rate of the last step", "1"),
        "images_per_second": ("training images a second", "1/s"),
        "system/*": ("use of the trial's machine, with --system-metrics", "as named"),
    },
    "trial": {
        "best_epoch/epoch": (
            "the scored epoch with the best objective; a trial is judged by its last one",
            "epochs",
        ),
        "best_epoch/*": ("val/... of that epoch, flattered by luck", "fraction"),
        "epochs": ("finished epochs at the last score", "epochs"),
        "seconds": (
            "wall-clock time over all attempts; up to the last score it is cost/seconds",
            "s",
        ),
        "cpu_hours": ("booked cores times hours", "h"),
        "gpu_hours": ("booked GPUs times hours", "h"),
    },
    "study": {
        "best_so_far/*": ("best objective after each trial that has ended", "as the objective"),
        "best/epoch": ("the last scored epoch of the best trial, by which it is judged", "epochs"),
        "best/*": ("val/... of the best trial after its last scored epoch", "fraction"),
        "baseline/epoch": ("the last scored epoch of the baseline", "epochs"),
        "baseline/*": ("val/... of the baseline after its last scored epoch", "fraction"),
        "floor/*": ("accuracies of classifiers of raw pixels", "fraction"),
        "trials/*": ("trials that ended complete, stopped or failed", "trials"),
    },
    "confirmation": {
        "test/*": ("val/... on the sealed test images", "fraction"),
        "confirm/mean": ("mean difference to the baseline over the seeds", "fraction"),
        "confirm/low": ("lower end of its 95 % interval", "fraction"),
        "confirm/high": ("upper end of its 95 % interval", "fraction"),
        "confirm/p_holm": ("p-value of a gain over the baseline, corrected by Holm", "1"),
        "confirm/p_worse_holm": ("p-value of a loss, corrected by Holm", "1"),
    },
}
_ASKED = ("val/thirds/", "val/shots/", "val/std", "val/best/", "cost/")
"""How the names begin of what MLflow gets only if the study looks at it."""
TABLE = tuple(
    MetricRow(name, of, meaning, unit, always=not name.startswith(_ASKED))
    for of, rows in _ROWS.items()
    for name, (meaning, unit) in rows.items()
)
"""Every metric, in the order in which it stands in the documentation."""


FIELDS: Mapping[str, str] = {
    "trial": "its number in the study, from 0",
    "state": "waiting, running, interrupted, complete, stopped early by the scheduler, or failed",
    "role": "baseline, point of the space file, warm from an earlier study, or sampled",
    "point": "the value of each open leaf that is active",
    "attempts": "how often it was started; attempt in MLflow",
    "attempt": "how often it was started; attempts in Python",
    "epoch": "the last epoch that was scored; of a row of study.epochs() the one that it is about",
    "time": "when an epoch was scored, in seconds since 1970",
    "began": "when its process was first up, in seconds since 1970",
    "ended": "when it was closed, in seconds since 1970",
    "cpu_seconds": "booked cores times seconds, over all attempts",
    "gpu_seconds": "booked GPUs times seconds, over all attempts",
    "rank": "its place among the finished trials, written at the end of the search",
    "failure": "why it failed, in one line",
    "alone": "why it had to run with no other trial beside it, in one line",
    "digest": "a digest of its recipe; the same recipe has the same",
    "fingerprint": "a digest of the images that it saw; the same images have the same",
    "dataset": "the name of its data, data.name of the recipe",
    "machine": "the kind of processor or GPU that trained it",
    "execution": "how its steps were computed: precision, layout, threads, compiled or not",
    "version.*": "the version of a library that the search ran with",
    "git.commit": "the commit of raylt that the search ran with",
    "git.dirty": "whether raylt had changes that were not committed",
    "raylt.key": "what raylt finds the run by",
}
"""What a trial has beside its metrics in Python, in `Study.frame()` or in the tags of MLflow."""


def named(name: str) -> tuple[MetricRow, ...]:
    """The rows of a metric, those of its own name before those of a pattern."""
    own = tuple(row for row in TABLE if row.name == name)
    return own or tuple(row for row in TABLE if fnmatch.fnmatchcase(name, row.name))


def explained(name: str) -> list[str]:
    """What a metric or another column of a trial means; empty for any other word."""
    return [
        *(f"{r.name} (metric of each {r.of})\n  {r.meaning} ({r.unit})" for r in named(name)),
        *(
            f"{field} (of each trial)\n  {meaning}"
            for field, meaning in FIELDS.items()
            if fnmatch.fnmatchcase(name, field)
        ),
    ]


def of_epoch(entry: Mapping[str, float], plan: Study) -> dict[str, float]:
    """What MLflow gets of a scored epoch: the objectives first, then the rest, rounded.

    Args:
        plan: Its objectives and constraints are sent whatever they are.
    """
    objectives = [objective.metric for objective in plan.objective if objective.metric in entry]
    asked = {*objectives, *(constraint.metric for constraint in plan.constraints)}
    rest = [
        name
        for name in entry
        if name not in ("time", "epoch", *objectives)
        and (name in asked or not name.startswith(_ASKED))
    ]
    return {name: rounded(entry[name]) for name in (*objectives, *rest)}


def summary(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """The validation metrics of one epoch under a prefix, as `best/few`, and the epoch."""
    return {
        f"{prefix}/{name.removeprefix('val/')}": value
        for name, value in metrics.items()
        if name == "epoch" or (name.startswith("val/") and not name.startswith(_ASKED))
    }


def rounded(value: float) -> float:
    """Four decimals; a number below 0.1 keeps four digits, as a learning rate needs."""
    return float(f"{value:.4g}") if abs(value) < 0.1 else round(value, 4)
