"""The trials that a search runs, and those that wait to be run again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raylt.space.plan import Objective
from raylt.study.record.listener import Task
from raylt.study.record.outcome import Metrics
from raylt.study.record.record import Record
from raylt.study.record.text import KEPT
from raylt.study.workers import system_metrics

OUT_OF_MEMORY = "the trial's process was killed: the machine ran out of memory"
"""The cause of a process that Ray or the kernel ended to save the machine."""
_DISK_FULL = ("No space left on device", "Disk quota exceeded")
Reason = Literal["unfinished", "died", "alone"]
"""Why a trial is run again: an earlier driver left it, its process died, or it ran out of memory
while other trials shared its GPU or machine."""


def is_disk_full(text: str) -> bool:
    """Whether an error says that the disk is full, which is no trial's failure: all share it."""
    return any(words in text for words in _DISK_FULL)


def disk_full(record: Record) -> str:
    """What to do about the full disk of a study."""
    return f"no space is left on the disk of {record.folder}; {KEPT}; free some"


@dataclass(frozen=True, slots=True)
class Pending:
    """A trial that has begun and waits to be handed out again."""

    number: int
    reason: Reason


@dataclass(slots=True)
class Live:
    """A trial that Tune runs."""

    task: Task
    alone: bool
    """Whether no other trial shares its GPU or its machine."""
    epochs: dict[int, Metrics] = field(default_factory=dict)
    failure: str = ""
    out_of_memory: bool = False
    began: bool = False
    """Whether its process was ever up."""

    @property
    def last(self) -> Metrics:
        """Metrics of the last scored epoch."""
        return self.epochs[max(self.epochs)] if self.epochs else {}

    @property
    def state(self) -> Literal["complete", "stopped", "failed"]:
        """What the trial is if it ends now."""
        if self.failure:
            return "failed"
        return "complete" if self.last.get("epoch", 0) >= self.task.recipe.epochs else "stopped"

    def best(self, objective: Objective) -> Metrics:
        """Metrics of the scored epoch with the best objective; of equals the first."""
        sign = 1 if objective.better == "maximize" else -1
        return max(
            self.epochs.values(), key=lambda epoch: sign * epoch[objective.metric], default={}
        )


def unrankable(metrics: Metrics, objectives: Iterable[Objective]) -> str:
    """Why an epoch cannot be ranked, in one line; "" if it can."""
    for objective in objectives:
        value = metrics.get(objective.metric, math.nan)
        if not math.isfinite(value):
            return f"{objective.metric} was {value} in epoch {metrics['epoch']:.0f}"
    return ""


def own_metrics(result: Mapping[str, Any]) -> Metrics:
    """Our own numbers out of all that Tune adds to a result."""
    names = {"epoch", "lr", "images_per_second"}
    prefixes = ("val/", "train/", "cost/", system_metrics.PREFIX)
    return {
        key: float(value)
        for key, value in result.items()
        if key in names or key.startswith(prefixes)
    }
