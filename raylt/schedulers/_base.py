"""What schedulers share: they are fair to the baseline and to trials that are taken up again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from raylt.schema import StoppingConfig


@dataclass(frozen=True)
class Contender:
    """A trial as a scheduler knows it: by its number in the study, not by its name in Tune."""

    number: int
    role: str

    def __hash__(self) -> int:
        return hash(self.trial_id)

    @property
    def trial_id(self) -> str:
        """What Ray's schedulers call it."""
        return str(self.number)


class Queue(FIFOScheduler):
    """First come, first served, without a look at the trials that are over.

    Tune asks after each report who is next, and its own answer walks through all trials of the
    study, twice.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The waiting trial with the lowest number; paused ones come last."""
        waiting = [
            (trial.status == Trial.PAUSED, trial.config["number"], trial)
            for trial in tune_controller.get_live_trials()
            if trial.status in (Trial.PENDING, Trial.PAUSED)
        ]
        return min(waiting)[2] if waiting else None


class Fair(Queue):
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
        """Tune has a new trial."""
        self.add(_contender(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A trial reported an epoch: whether it goes on."""
        return self.judge(_contender(trial), result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """A trial has ended."""
        if "failure" not in result:
            self.end(_contender(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Tune gives a trial up."""
        cast(Any, super()).on_trial_remove(None, _contender(trial))

    def add(self, contender: Contender) -> None:
        """Let a trial take part, once."""
        if contender.number not in self._judged:
            self._judged[contender.number] = 0
            cast(Any, super()).on_trial_add(None, contender)

    def judge(self, contender: Contender, result: Mapping[str, Any]) -> str:
        """Whether a trial goes on after an epoch."""
        epoch = result.get("epoch", math.inf)
        if epoch <= self._judged[contender.number]:
            return TrialScheduler.CONTINUE
        self._judged[contender.number] = epoch
        # Asked even for the baseline: the others are compared with it too.
        decision = cast(Any, super()).on_trial_result(None, contender, result)
        if decision == TrialScheduler.CONTINUE or contender.role == "baseline":
            return TrialScheduler.CONTINUE
        return TrialScheduler.STOP

    def end(self, contender: Contender, result: Mapping[str, Any]) -> None:
        """A trial has ended with this epoch."""
        cast(Any, super()).on_trial_complete(None, contender, result)


def _contender(trial: Any) -> Contender:
    return Contender(trial.config["number"], trial.config["role"])


def options(config: StoppingConfig, *, metric: str, mode: str) -> dict[str, Any]:
    """The arguments that all of Ray's schedulers take."""
    return {"metric": metric, "mode": mode, "time_attr": "epoch", "grace_period": config.grace}
