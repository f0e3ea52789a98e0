"""The study of record as a Ray Tune searcher that tells Optuna the truth.

Ray's own OptunaSearch tells a trial that was stopped after one epoch as COMPLETE, leaves trials
with a NaN running for ever and never hands over constraints. Here every epoch's objective is
kept, a stopped trial is PRUNED with its last value, and nothing failed is ever COMPLETE.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ray.tune.search import Searcher

from raylt import recipe as recipes
from raylt.study.cost.budget import BudgetMeter
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome, signature
from raylt.study.record.record import Record
from raylt.study.search import sampler
from raylt.study.workers import system_metrics

OUT_OF_MEMORY = "the trial's process was killed: the machine ran out of memory"
"""The cause of a process that Ray or the kernel ended to save the machine."""
SAME_FAILURES = 3
"""Trials that fail in the same way, with none that did not, before the study stops."""


@dataclass(slots=True)
class _Live:
    """What is known of a running trial."""

    task: Task
    alone: bool = False
    """Whether no other trial shares its GPU or its machine."""
    epochs: dict[int, Metrics] = field(default_factory=dict)
    failure: str = ""
    out_of_memory: bool = False
    began: bool = False
    """Whether its process was ever up."""

    @property
    def last(self) -> Metrics:
        return self.epochs[max(self.epochs)] if self.epochs else {}


class TruthfulSearcher(Searcher):
    """Hands out the trials of a study and writes down what becomes of them.

    A life: `suggest` for each free slot, `on_trial_result` for each scored epoch that does not
    end its trial, `on_trial_complete` once; `interrupt` if the search is cut short. Trials that
    an earlier driver left running come first, under their own numbers. Once the budget is spent
    none is handed out, and one that ends before its last epoch stays open.

    A trial that runs out of memory beside others has not failed: it is handed out once more when
    all others are, to run alone. One whose process died of something else is handed out again at
    once.

    Args:
        record: The study; this object is its only writer.
        listeners: Told of everything, in order.
        cause: Why the process of a Tune trial died, in one line.
        purse: Counts what the trials cost; where None they book nothing, and only time counts.
        crowded: Told the number of a trial that ran out of memory beside others; None where
            trials have no company.
        retries: How often a trial is handed out again whose process died.
    """

    def __init__(
        self,
        record: Record,
        listeners: Sequence[Listener],
        cause: Callable[[str], str],
        purse: BudgetMeter | None = None,
        crowded: Callable[[int], None] | None = None,
        retries: int = 0,
    ) -> None:
        super().__init__()
        self.stopped = ""
        """Why no further trial is handed out though some were wanted, in one line."""
        self._record = record
        self._listeners = tuple(listeners)
        self._cause = cause
        self._purse = purse or BudgetMeter(record, cpus=0, gpus=0)
        self._crowded = crowded
        self._retries = retries
        self._deaths: Counter[int] = Counter()
        """How often the process of a trial died, of something else than company."""
        self._live: dict[str, _Live] = {}
        outcomes = record.outcomes()
        running = [one for one in outcomes if one.state == "running"]
        self._left = [one.number for one in running if not one.alone]
        self._alone = [one.number for one in running if one.alone]
        self._taken = {one.digest for one in outcomes if one.digest}
        self._handed = sum(one.state not in ("running", "waiting") for one in outcomes)
        self._successes = sum(one.state in ("complete", "stopped") for one in outcomes)
        self._failures: Counter[str] = Counter()
        self._baseline = next((o.number for o in outcomes if o.role == "baseline"), None)
        self._reference = {} if self._baseline is None else self._history(self._baseline)

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
        self._live[trial_id] = _Live(task, alone, dict(self._history(task.number)))
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
        self._take(self._live[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study how a trial ended; `result` is its last one, reported before or not."""
        live = self._live.pop(trial_id)
        if result:
            self._take(live, result)
        died = error and not live.failure
        if died:
            live.failure = self._cause(trial_id)
            live.out_of_memory = live.failure == OUT_OF_MEMORY
        if self._is_cut_off(live):
            self._leave_open(live)
            return
        if live.out_of_memory and self._crowded is not None and not live.alone:
            self._run_alone(live, self._crowded)
            return
        if died and self._is_tried_again(live):
            self._left.append(live.task.number)
            self._leave_open(live)
            return
        outcome = self._close(live)
        for listener in self._listeners:
            listener.ended(live.task, outcome)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study of record has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, likewise."""

    # What the driver calls

    def started(self, trial_id: str) -> None:
        """A trial's process is up: count the attempt."""
        live = self._live[trial_id]
        # A process that starts late has not cost anything yet.
        self._purse.begin(live.task.number, alone=live.alone)
        attempt = self._record.begin_attempt(live.task.number)
        live.task, live.began = replace(live.task, attempt=attempt), True
        for listener in self._listeners:
            listener.started(live.task)

    def interrupt(self) -> None:
        """The search is cut short: what runs stays running in the record."""
        for live in self._live.values():
            self._leave_open(live)
        self._live.clear()

    # Handing out

    def _next(self) -> Task | None:
        begun = self._handed + len(self._live) + len(self._left) + len(self._alone)
        more = begun < self._record.wanted
        if not (self._left or more or self._alone):
            return None
        self.stopped = self._purse.spent
        if self.stopped:
            return None
        if self._left:
            return self._again(self._left.pop(0))
        return self._again(self._record.open_trial() if more else self._alone.pop(0))

    def _may_come_back(self) -> bool:
        """Whether a trial that runs may run once more: after its process died, or alone."""
        if self.stopped or not self._live:
            return False
        if self._retries:
            return True
        return self._crowded is not None and any(not live.alone for live in self._live.values())

    def _again(self, number: int) -> Task | None:
        """The task of a running trial, with its point drawn now if that had not happened yet."""
        outcome = self._record.outcome(number)
        if outcome.recipe:
            recipe = recipes.parse(dict(outcome.recipe))
            return Task(number, outcome.role, outcome.point, recipe, outcome.attempts)
        space = self._record.space
        found = (
            (dict(outcome.point), space.at(outcome.point))
            if outcome.point
            else sampler.draw(
                self._record.study,
                self._record.frozen(number),
                space,
                taken=self._taken,
                seed=number,
            )
        )
        if found is None:
            self._record.discard(number)
            self.stopped = (
                f"the space has no point left that was not tried: {self._handed} trials of "
                f"{self._record.wanted} were possible"
            )
            return None
        point, recipe = found
        self._taken.add(recipe.digest)
        self._record.start(
            number,
            point=point,
            recipe=recipe.model_dump(mode="json"),
            digest=recipe.digest,
            parameters=sampler.parameters(space, point),
        )
        if outcome.role == "baseline":
            self._baseline = number
        return Task(number, outcome.role, point, recipe, outcome.attempts)

    # Writing down

    def _take(self, live: _Live, result: Mapping[str, Any]) -> None:
        live.failure = live.failure or result.get("failure", "")
        live.out_of_memory = live.out_of_memory or result.get("out_of_memory", False)
        if live.failure or "epoch" not in result:
            return
        self._purse.book(live.task.number, float(result.get("booked", 1.0)))
        epoch = int(result["epoch"])
        # A trial that goes on from its checkpoint reports again what it had reported.
        if epoch in live.epochs:
            return
        metrics = {
            **own_metrics(result),
            "cost/seconds": round(self._purse.seconds(live.task.number), 3),
        }
        for objective in self._record.objectives:
            value = metrics.get(objective.metric, math.nan)
            if not math.isfinite(value):
                live.failure = f"{objective.metric} was {value} in epoch {epoch}"
                return
        live.epochs[epoch] = metrics
        if live.task.number == self._baseline:
            self._reference[epoch] = metrics
        self._record.report(live.task.number, metrics)
        for listener in self._listeners:
            listener.reported(live.task, metrics)

    def _is_cut_off(self, live: _Live) -> bool:
        """Whether it was the budget that ended a trial, which then has not come to its end."""
        unfinished = not live.failure and live.last.get("epoch", 0) < live.task.recipe.epochs
        if unfinished and (spent := self._purse.spent):
            self.stopped = self.stopped or spent
            return True
        return False

    def _leave_open(self, live: _Live) -> None:
        """What runs stays running in the record, to be taken up again."""
        self._purse.end(live.task.number)
        # Nobody has heard of a trial that was handed out and not begun.
        for listener in self._listeners if live.began else ():
            listener.interrupted(live.task)

    def _is_tried_again(self, live: _Live) -> bool:
        """Whether a trial whose process died is to have another; what no machine is large enough
        for is not."""
        if live.alone and live.out_of_memory:
            return False
        self._deaths[live.task.number] += 1
        return self._deaths[live.task.number] <= self._retries

    def _run_alone(self, live: _Live, crowded: Callable[[int], None]) -> None:
        """A trial ran out of memory beside others: it goes on later, with nobody beside it."""
        number = live.task.number
        self._record.set_alone(number, reason=live.failure)
        crowded(number)
        self._alone.append(number)
        self._leave_open(live)

    def _close(self, live: _Live) -> Outcome:
        epochs = live.task.recipe.epochs
        state: Literal["complete", "stopped", "failed"] = "complete"
        if not live.failure and not live.epochs:
            live.failure = "the trial ended without a single score"
        if live.failure:
            state = "failed"
        elif max(live.epochs) < epochs:
            state = "stopped"
        first = self._record.objectives[0]
        best: Metrics = {}
        for metrics in live.epochs.values():
            sign = 1 if first.better == "maximize" else -1
            if not best or sign * metrics[first.metric] > sign * best[first.metric]:
                best = metrics
        outcome = self._record.finish(
            live.task.number,
            state,
            last=live.last,
            best=best,
            baseline=self._baseline_at(int(live.last.get("epoch", 0)), state == "stopped"),
            seconds=self._purse.end(live.task.number),
            failure=live.failure,
        )
        self._handed += 1
        self._count(outcome)
        return outcome

    def _count(self, outcome: Outcome) -> None:
        """Stop handing out trials once the first ones have all failed in one way."""
        if outcome.state != "failed":
            self._successes += 1
            return
        self._failures[signature(outcome.failure)] += 1
        if not self._successes and self._failures.most_common(1)[0][1] >= SAME_FAILURES:
            self.stopped = f"the first {SAME_FAILURES} trials failed alike: {outcome.failure}"

    def _baseline_at(self, epoch: int, early: bool) -> Metrics:
        """The baseline's metrics to compare with: at the same epoch for a trial stopped early."""
        if early:
            return self._reference.get(epoch, {})
        return self._reference[max(self._reference)] if self._reference else {}

    def _history(self, number: int) -> dict[int, Metrics]:
        return {int(entry["epoch"]): own_metrics(entry) for entry in self._record.epochs(number)}


def own_metrics(result: Mapping[str, Any]) -> Metrics:
    """Our own numbers out of all that Tune adds to a result."""
    names = {"epoch", "lr", "images_per_second"}
    return {
        key: float(value)
        for key, value in result.items()
        if key in names or key.startswith(("val/", "train/", "cost/", system_metrics.PREFIX))
    }
