"""Tell the user of a running search what it will take, as soon as that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from raylt import recipe as recipes
from raylt.study.cost import budget, forecast, measured, tables
from raylt.study.cost.forecast import Means
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.resources.allocation import Allocation
from raylt.trial.cost.cost import Cost


def means(share: Allocation) -> Means:
    """What the trials of a search book."""
    shape = share.shape
    return Means(
        workers=shape.workers,
        cpus=shape.workers * shape.cpus,
        gpus=shape.workers * shape.gpus,
        concurrent=share.concurrent,
    )


class ForecastListener(Listener):
    """Says what a search with a budget will take, once that is known.

    At once if the corners of the space were measured on this machine before; else when the
    baseline has run to its end.

    Args:
        record: The study.
        share: What its trials book.
        runs: Folder of all studies.
        threads: Threads of torch in a trial.
        say: Takes a line.
    """

    def __init__(
        self,
        record: Record,
        share: Allocation,
        *,
        runs: Path,
        threads: int,
        say: Callable[[str], None],
    ) -> None:
        self._record = record
        self._means = means(share)
        self._say = say
        self._open = bool(budget.limits(record.space.study.budget))
        """Whether anything is to be said still."""
        if self._open:
            corners = forecast.corners(record.space)
            found = measured.stored(
                corners, runs=runs, threads=threads, gpu=bool(share.shape.gpus)
            )
            before = record.baseline()
            if len(found) == len(corners):
                self._tell(found, "measured before", self._means)
            elif before is not None and before.state == "complete":
                self._tell_from(before)

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over: the baseline, run to its end, tells what the others take."""
        if self._open and task.role == "baseline" and outcome.state == "complete":
            self._tell_from(outcome)

    def _tell_from(self, baseline: Outcome) -> None:
        recipe = recipes.parse(dict(baseline.recipe))
        found = [(recipe, _of_run(baseline.seconds / recipe.epochs))]
        # All of its workers took that time: it is not to be divided among them once more.
        self._tell(found, "from the baseline", replace(self._means, workers=1))

    def _tell(self, found: forecast.Measured, source: str, means: Means) -> None:
        self._open = False
        trials = self._record.wanted
        seen = forecast.forecast(self._record.space, found, means, trials=trials)
        tables.foresee(self._record, seen, source=source)
        for line in forecast.budget(seen):
            self._say(f"forecast ({source}): {trials} trials take {line}")


def _of_run(epoch: float) -> Cost:
    """The cost of a recipe of which only the seconds of an epoch, scores included, are known."""
    return Cost(
        start=0.0,
        epoch=epoch,
        score=0.0,
        save=0.0,
        disk=0,
        memory=0,
        gpu_memory=0,
        gpu_size=0,
        gpu_busy=0.0,
        device="",
    )
