"""Who stops weak trials early, by the name in the space file; the resource is the epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from raylt.space import Space
from raylt.space.plan import METRICS
from raylt.study.record import Record

_BRACKETS = 3
"""Grace periods that HyperBand spreads its trials over: grace, grace x factor, ..."""
_MEDIAN_OF = 3
"""Trials that must have come as far before the median stops one."""


class _Sparing:
    """Lets the baseline run to its end, and learns nothing from a trial that failed."""

    _spared: bool = False

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        baseline = trial.config["role"] == "baseline"
        if baseline and self._spared:
            # The median rule will not be asked twice about a trial that it has stopped.
            return TrialScheduler.CONTINUE
        # Asked even for the baseline: the others are compared with it too.
        decision = cast(Any, super()).on_trial_result(tune_controller, trial, result)
        if baseline and decision != TrialScheduler.CONTINUE:
            self._spared = True
            return TrialScheduler.CONTINUE
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if "failure" not in result:
            cast(Any, super()).on_trial_complete(tune_controller, trial, result)


class _Asha(_Sparing, AsyncHyperBandScheduler): ...


class _Median(_Sparing, MedianStoppingRule): ...


def scheduler(record: Record) -> TrialScheduler:
    """The scheduler of a study, knowing the trials that the study has already.

    `hyperband` is the asynchronous kind: several ASHA brackets side by side, no trial ever waits.
    """
    chosen = record.space.study.scheduler
    epochs = _longest(record.space)
    metric = record.space.study.watched
    direction = {"maximize": "max", "minimize": "min"}[METRICS[metric]]
    common: dict[str, Any] = {"metric": metric, "mode": direction, "time_attr": "epoch",
                              "grace_period": chosen.grace}  # fmt: skip
    match chosen.name:
        case "none" | "pbt":
            # A population is the searcher's affair: see `raylt.study.population`.
            return FIFOScheduler()
        case "median":
            # Nobody is paused to let others catch up: a paused trial loses its process.
            common["min_time_slice"] = math.inf
            made: TrialScheduler = _Median(**common, min_samples_required=_MEDIAN_OF)
        case "asha" | "hyperband":
            made = _Asha(
                **common, reduction_factor=chosen.factor,
                brackets=_BRACKETS if chosen.name == "hyperband" else 1,
                # One more than there are: a trial that runs to its end is not "stopped".
                max_t=epochs + 1,
            )  # fmt: skip
    _remember(made, record)
    return made


def _longest(space: Space) -> int:
    """Epochs of the longest trial of a space."""
    known = space.known.get("epochs")
    values = next((leaf.ends for leaf in space.leaves if leaf.path == "epochs"), (known,))
    return max(value for value in values if isinstance(value, int))


@dataclass(frozen=True)
class _Past:
    """Stands for a trial of an earlier driver."""

    trial_id: str
    config: dict[str, str]

    def __hash__(self) -> int:
        return hash(self.trial_id)


def _remember(made: Any, record: Record) -> None:
    """Show a scheduler the finished trials, so that a resumed search stops as sharply."""
    for one in record.outcomes():
        epochs = record.epochs(one.number)
        if one.state not in ("complete", "stopped") or not epochs:
            continue
        past = _Past(f"past-{one.number}", {"role": one.role})
        made.on_trial_add(None, past)
        for result in epochs:
            made.on_trial_result(None, past, result)
        made.on_trial_complete(None, past, epochs[-1])
