"""Metrics: what a search may look at, and which way is better."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from raylt.plugins import did_you_mean

Direction = Literal["maximize", "minimize"]

BEST = "val/best/"
"""The prefix of metrics that are of the best epoch and not of the last one."""
GROUPS = ("accuracy", "many", "medium", "few")
"""The metrics that are also reported for the best epoch."""

METRICS: dict[str, Direction] = {
    "val/accuracy": "maximize",
    "val/many": "maximize",
    "val/medium": "maximize",
    "val/few": "maximize",
    "val/thirds/many": "maximize",
    "val/thirds/medium": "maximize",
    "val/thirds/few": "maximize",
    "val/knn": "maximize",
    "val/worst": "maximize",
    "val/harmonic": "maximize",
    "val/std": "minimize",
    "val/thirds/std": "minimize",
    "val/shots/std": "minimize",
    **{BEST + group: "maximize" for group in GROUPS},
    "train/loss": "minimize",
    "cost/seconds": "minimize",
}
"""What a search may look at, and which way is better. A trial is judged by its last epoch; a
metric `val/best/...` is that of the scored epoch with the best validation accuracy so far, which
flatters: the more epochs are scored, the luckier is the best of them. `cost/seconds` is the
wall-clock time that a trial has taken so far, over all of its attempts."""


def known_metric(name: str) -> str:
    """`name`, if a search may look at it.

    Raises:
        ValueError: no method reports it, or it is of the sealed test set.
    """
    if name.startswith("test/"):
        raise ValueError(
            f"must not look at the test set, but got {name!r}; search on val/{name[5:]}, and let "
            f"`raylt confirm` open the test set once"
        )
    if name not in METRICS:
        raise ValueError(
            f"must be a metric that every method reports, but got {name!r}"
            f"{did_you_mean(name, METRICS)}; known: {', '.join(METRICS)}"
        )
    return name


Metric = Annotated[str, AfterValidator(known_metric), WithJsonSchema({"enum": list(METRICS)})]
