"""The study of record as a Ray Tune searcher that tells Optuna the truth.

Ray's own OptunaSearch tells a trial that was stopped after one epoch as COMPLETE, leaves trials
with a NaN running for ever and never hands over constraints. Here every epoch's objective is
kept, a stopped trial is PRUNED with its last value, and nothing failed is ever COMPLETE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray.tune.search import Searcher

from raylt import recipe as recipes
from raylt.schema import EnvironmentError
from raylt.study.cost.budget import BudgetMeter
from raylt.study.record import distributions
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome, baseline_of, signature
from raylt.study.record.record import Record
from raylt.study.search import sampler
from raylt.study.search.trials import (
    OUT_OF_MEMORY,
    Live,
    Pending,
    disk_full,
    is_disk_full,
    own_metrics,
    unrankable,
)

SAME_FAILURES = 3
"""Trials that fail in the same way, with none that did not, before the study stops."""


class TruthfulSearcher(Searcher):
    """Hands out the trials of a study and writes down what becomes of them.

    The life of a trial: `suggest` for each free slot, `on_trial_result` for each scored epoch that
    does not end it, `on_trial_complete` once; `interrupt` if the search is cut short. Once the
    budget is spent no trial is handed out, and one that ends before its last epoch stays open.

    Trials that an earlier driver left, and those whose process died, come first, under their own
    numbers; then new ones; and at the end those that ran out of memory beside others, alone.

    Args:
        record: The study; this object is its only writer.
        on_shared_oom: Called with the number of a trial that ran out of memory beside others; None
            where trials share nothing.
        retries: How often a trial is handed out again whose process died.
        ray_lost: Whether Ray itself died, which is no trial's failure.
    """

    def __init__(
        self,
        record: Record,
        listeners: Sequence[Listener],
        cause: Callable[[str], str],
        budget: BudgetMeter | None = None,
        on_shared_oom: Callable[[int], None] | None = None,
        retries: int = 0,
        ray_lost: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__()
        self.stopped = ""
        """Why no further trial is handed out though some were wanted, in one line."""
        self._record = record
        self._listeners = tuple(listeners)
        self._cause = cause
        self._budget = budget or BudgetMeter(record, cpus=0, gpus=0)
        self._on_shared_oom = on_shared_oom
        self._retries = retries
        self._ray_lost = ray_lost
        outcomes = record.outcomes()
        self._pending = [
            Pending(outcome.number, "alone" if outcome.alone else "unfinished")
            for outcome in outcomes
            if outcome.state == "running"
        ]
        self._live: dict[str, Live] = {}
        """The trials that run, by the names that Tune gives them."""
        self._closed = sum(outcome.over for outcome in outcomes)
        self._successes = sum(outcome.state in ("complete", "stopped") for outcome in outcomes)
        self._failures: Counter[str] = Counter()
        self._deaths: Counter[int] = Counter()
        """How often the process of each trial died."""
        self._digests = {outcome.digest for outcome in outcomes if outcome.digest}
        """The recipes that were run or are running; none is run twice."""
        baseline = baseline_of(outcomes)
        self._baseline = baseline.number if baseline else None
        self._reference = self._history(baseline.number) if baseline else {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher for a restore that never happens here.
        return {}

    # What Tune calls

    # Tune compares what it gets with Searcher.FINISHED, which its own annotation forgets.
    def suggest(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """The next trial as a config for `raylt.study.workers.trainable`, None if there may be one
        later, or Searcher.FINISHED."""
        task = None if self.stopped else self._next()
        if task is None:
            return None if self._may_come_back() else Searcher.FINISHED
        alone = bool(self._record.outcome(task.number).alone)
        self._live[trial_id] = Live(task, alone, self._history(task.number))
        return {
            "number": task.number,
            "role": task.role,
            "alone": alone,
            "folder": str(self._record.trial_folder(task.number).resolve()),
            # As text: Tune makes a name of every nested key that it finds in a config.
            "recipe": task.recipe.model_dump_json(),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep a scored epoch."""
        self._keep(self._live[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Close a trial, or leave it open for another run; `result` is its last one, reported
        before or not."""
        live = self._live.pop(trial_id)
        if result:
            self._keep(live, result)
        died = error and not live.failure
        if died:
            live.failure = self._cause(trial_id)
            live.out_of_memory = live.failure == OUT_OF_MEMORY
        number = live.task.number
        if live.state == "stopped" and (spent := self._budget.spent):
            self.stopped = self.stopped or spent
            self._leave_open(live)
        elif live.out_of_memory and not live.alone and self._on_shared_oom is not None:
            self._record.set_alone(number, reason=live.failure)
            self._on_shared_oom(number)
            self._pending.append(Pending(number, "alone"))
            self._leave_open(live)
        elif died and self._ray_lost():
            self._leave_open(live)
        elif is_disk_full(live.failure):
            self._leave_open(live)
            raise EnvironmentError(disk_full(self._record))
        elif died and self._is_retried(live):
            self._pending.append(Pending(number, "died"))
            self._leave_open(live)
        else:
            self._close(live)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study of record has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the study of record has it all."""

    # What the driver calls

    def started(self, trial_id: str) -> None:
        """Count an attempt of a trial, whose process is up."""
        live = self._live[trial_id]
        # A process that starts late has not cost anything yet.
        self._budget.begin(live.task.number, alone=live.alone)
        attempt = self._record.begin_attempt(live.task.number)
        live.task, live.began = replace(live.task, attempt=attempt), True
        for listener in self._listeners:
            listener.started(live.task)

    def interrupt(self) -> None:
        """Leave every trial that runs open in the record, for the search is cut short."""
        for live in self._live.values():
            self._leave_open(live)
        self._live.clear()

    # Handing out

    def _next(self) -> Task | None:
        begun = self._closed + len(self._live) + len(self._pending)
        wants_more = begun < self._record.wanted
        if not (self._pending or wants_more):
            return None
        self.stopped = self._budget.spent
        if self.stopped:
            return None
        first = [pending for pending in self._pending if pending.reason != "alone"]
        if not first and wants_more:
            return self._task(self._record.open_trial())
        pending = (first or self._pending)[0]
        self._pending.remove(pending)
        return self._task(pending.number)

    def _may_come_back(self) -> bool:
        """Whether a trial that runs may be handed out once more."""
        if self.stopped or not self._live:
            return False
        shares = self._on_shared_oom is not None
        return self._retries > 0 or (shares and any(not t.alone for t in self._live.values()))

    def _task(self, number: int) -> Task | None:
        """What a trial is to do; a trial without a recipe draws its point now."""
        outcome = self._record.outcome(number)
        if outcome.recipe:
            point, recipe = outcome.point, recipes.parse(dict(outcome.recipe))
        elif drawn := self._draw(outcome):
            point, recipe = drawn
        else:
            self._record.discard(number)
            begun = self._closed + len(self._live) + len(self._pending)
            self.stopped = f"search space exhausted after {begun} of {self._record.wanted} trials"
            return None
        return Task(number, outcome.role, point, recipe, outcome.attempts)

    def _draw(self, outcome: Outcome) -> tuple[Mapping[str, Any], recipes.Recipe] | None:
        """Draw the point of a trial, unless it has one, and write down what it runs."""
        record, number, space = self._record, outcome.number, self._record.space
        trial = record.frozen(number)
        # Where nothing is open, the point that is queued is empty.
        if "point" in trial.user_attrs:
            drawn = dict(outcome.point), space.at(outcome.point)
        else:
            drawn = sampler.draw(record.study, trial, space, taken=self._digests, seed=number)
        if drawn is None:
            return None
        point, recipe = drawn
        self._digests.add(recipe.digest)
        record.start(
            number,
            point=point,
            recipe=recipe.model_dump(mode="json"),
            digest=recipe.digest,
            parameters=distributions.parameters(space, point),
        )
        if outcome.role == "baseline":
            self._baseline, self._reference = number, self._history(number)
        return drawn

    # Writing down

    def _keep(self, live: Live, result: Mapping[str, Any]) -> None:
        """Keep what a trial reports: a failure, or a scored epoch."""
        live.failure = live.failure or result.get("failure", "")
        live.out_of_memory = live.out_of_memory or result.get("out_of_memory", False)
        if live.failure or "epoch" not in result:
            return
        number, epoch = live.task.number, int(result["epoch"])
        self._budget.book(number, float(result.get("booked", 1.0)))
        # A trial that goes on from its checkpoint reports again what it had reported.
        if epoch in live.epochs:
            return
        # Kept before the epoch is: the clock of a trial whose driver is killed must not run back.
        seconds = round(self._budget.keep(number), 3)
        metrics = {**own_metrics(result), "cost/seconds": seconds}
        live.failure = unrankable(metrics, self._record.objectives)
        if live.failure:
            return
        live.epochs[epoch] = metrics
        if number == self._baseline:
            self._reference[epoch] = metrics
        self._record.report(number, metrics)
        for listener in self._listeners:
            listener.reported(live.task, metrics)

    def _leave_open(self, live: Live) -> None:
        """Leave a trial running in the record, to be taken up again."""
        self._budget.end(live.task.number)
        # No listener has heard of a trial that was handed out and not begun.
        for listener in self._listeners if live.began else ():
            listener.interrupted(live.task)

    def _is_retried(self, live: Live) -> bool:
        """Whether a trial whose process died is run again; not if no machine is large enough."""
        if live.alone and live.out_of_memory:
            return False
        self._deaths[live.task.number] += 1
        return self._deaths[live.task.number] <= self._retries

    def _close(self, live: Live) -> None:
        if not live.failure and not live.epochs:
            live.failure = "the trial ended without a single score"
        outcome = self._record.finish(
            live.task.number,
            live.state,
            last=live.last,
            best=live.best(self._record.objectives[0]),
            baseline=self._baseline_for(live),
            seconds=self._budget.end(live.task.number),
            failure=live.failure,
        )
        self._closed += 1
        if outcome.state == "failed":
            self._failures[signature(outcome.failure)] += 1
        else:
            self._successes += 1
        if not self._successes and max(self._failures.values()) >= SAME_FAILURES:
            self.stopped = (
                f"the first {SAME_FAILURES} trials failed with the same error: {outcome.failure}"
            )
        for listener in self._listeners:
            listener.ended(live.task, outcome)

    def _baseline_for(self, live: Live) -> Metrics:
        """The baseline's metrics that a trial's constraints are measured by: those of the same
        epoch for a trial that was stopped early."""
        if live.state == "stopped":
            return self._reference.get(int(live.last["epoch"]), {})
        return self._reference[max(self._reference)] if self._reference else {}

    def _history(self, number: int) -> dict[int, Metrics]:
        return {int(entry["epoch"]): own_metrics(entry) for entry in self._record.epochs(number)}
