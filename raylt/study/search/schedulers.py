"""Who stops weak trials early, by the name in the space file; the resource is the epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from raylt.space.metric_names import METRICS
from raylt.space.strategy import BRACKETS
from raylt.study.record.record import Record

_MEDIAN_OF = 3
"""Trials that must have come as far before the median stops one."""


@dataclass(frozen=True)
class _Contender:
    """A trial of the study as a scheduler knows it: whoever drives it, and however often."""

    number: int
    role: str

    def __hash__(self) -> int:
        return hash(self.trial_id)

    @property
    def trial_id(self) -> str:
        return str(self.number)


class _Queue(FIFOScheduler):
    """First come, first served, without a look at the trials that are over.

    Tune asks after each report who is next, and its own answer walks through all trials of the
    study, twice.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        found = [
            (one.status == Trial.PAUSED, one.config["number"], one)
            for one in tune_controller.get_live_trials()
            if one.status in (Trial.PENDING, Trial.PAUSED)
        ]
        return min(found)[2] if found else None


class _Fair(_Queue):
    """Judges every epoch of a trial once, lets the baseline run to its end, and learns nothing
    from a trial that failed.

    A trial that is taken up again reports anew what it had reported, while others have gone on:
    judged by what they reached meanwhile it would end at an epoch that it had long passed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._judged: dict[int, float] = {}
        """The last epoch of every trial that the scheduler knows."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.add(_contender(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return self.judge(_contender(trial), result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if "failure" not in result:
            self.end(_contender(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        cast(Any, super()).on_trial_remove(None, _contender(trial))

    def add(self, one: _Contender) -> None:
        if one.number not in self._judged:
            self._judged[one.number] = 0
            cast(Any, super()).on_trial_add(None, one)

    def judge(self, one: _Contender, result: Mapping[str, Any]) -> str:
        epoch = result.get("epoch", math.inf)
        if epoch <= self._judged[one.number]:
            return TrialScheduler.CONTINUE
        self._judged[one.number] = epoch
        # Asked even for the baseline: the others are compared with it too.
        decision = cast(Any, super()).on_trial_result(None, one, result)
        if decision == TrialScheduler.CONTINUE or one.role == "baseline":
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def end(self, one: _Contender, result: Mapping[str, Any]) -> None:
        cast(Any, super()).on_trial_complete(None, one, result)


def _contender(trial: Any) -> _Contender:
    return _Contender(trial.config["number"], trial.config["role"])


class _Asha(_Fair, AsyncHyperBandScheduler): ...


class _Median(_Fair, MedianStoppingRule): ...


def scheduler(record: Record) -> TrialScheduler:
    """The scheduler of a study, knowing the trials that the study has already.

    `hyperband` is the asynchronous kind: several ASHA brackets side by side, no trial ever waits.
    """
    chosen = record.space.study.scheduler
    if not record.space.leaves:
        # One run alone.
        return _Queue()
    metric = record.space.study.watched
    direction = {"maximize": "max", "minimize": "min"}[METRICS[metric]]
    common: dict[str, Any] = {
        "metric": metric,
        "mode": direction,
        "time_attr": "epoch",
        "grace_period": chosen.grace,
    }
    match chosen.name:
        case "none":
            return _Queue()
        case "median":
            # Nobody is paused to let others catch up: a paused trial loses its process.
            common["min_time_slice"] = math.inf
            # Hard, the rule may not be asked again about one that it has stopped: the baseline.
            made = _Median(**common, min_samples_required=_MEDIAN_OF, hard_stop=False)
        case "asha" | "hyperband":
            made = _Asha(
                **common,
                reduction_factor=chosen.factor,
                brackets=BRACKETS if chosen.name == "hyperband" else 1,
                # One more than there are: a trial that runs to its end is not "stopped".
                max_t=record.space.longest + 1,
            )
    _remember(made, record)
    return made


def _remember(made: _Fair, record: Record) -> None:
    """Show a scheduler what trials have reported, in that order, so that a resumed search goes on
    as sharply as if it had never ended."""
    past = {
        _Contender(one.number, one.role): one.state
        for one in record.outcomes()
        if one.state in ("complete", "stopped", "running")
    }
    reports = [(entry["time"], one, entry) for one in past for entry in record.epochs(one.number)]
    for _, one, entry in sorted(reports, key=itemgetter(0)):
        made.add(one)
        made.judge(one, entry)
    last = {one: entry for _, one, entry in reports}
    for one, entry in last.items():
        if past[one] != "running":
            made.end(one, entry)
