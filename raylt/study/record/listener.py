"""What happens to trials while a search runs, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from raylt.recipe import Recipe
from raylt.study.record.outcome import Metrics, Outcome


@dataclass(frozen=True, slots=True)
class Task:
    """A trial that is to run."""

    number: int
    role: str
    point: Mapping[str, Any]
    recipe: Recipe
    attempt: int
    """How often it was started, this start included."""


class Listener(Protocol):
    """Somebody who wants to know what happens to trials: the table, the tracker."""

    def started(self, task: Task) -> None:
        """A trial begins, or begins again."""

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""

    def interrupted(self, task: Task) -> None:
        """The search stops while the trial runs; it is taken up when the search goes on."""
