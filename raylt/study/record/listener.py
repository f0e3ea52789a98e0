"""What happens to trials while a search runs, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


class Listener:
    """Hears what happens to the trials of a search: override the hooks that matter to you.

    The driver calls the hooks one at a time, in its own process; a trial waits for nothing but the
    search does, so they return at once and leave slow work to a thread. What a hook raises ends
    the search.

    The life of a trial: `started` once its process is up; `reported` for each epoch that it
    scores; then either `ended`, or `interrupted` and later `started` again. `interrupted` also
    comes where the search itself goes on: a trial whose process died, or that ran out of memory
    beside others, is started again at once.
    """

    def started(self, task: Task) -> None:
        """A trial begins, or begins again; `task.attempt` counts."""

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch; `metrics` is in the study of record already."""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over: complete, stopped early, or failed."""

    def interrupted(self, task: Task) -> None:
        """A trial stops before its end, and stays open: it goes on from its last checkpoint."""
