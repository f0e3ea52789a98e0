"""Searches played on a law: raylt's searcher and scheduler, and Ray's OptunaSearch with its ASHA,
called as Tune calls them. A search of 60 trials takes seconds."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.laws import BASELINE, EPOCHS, Folded, Law, Point
from raylt.study.record import studies
from raylt.study.search import sampler, schedulers
from raylt.study.search.searcher import TruthfulSearcher

SLOTS = 4
NO_END = 10**4


@dataclass(frozen=True)
class Search:
    """What a search came to."""

    best: float
    """The law's value of the trial that the search would choose."""
    epochs: int
    """Trained over all trials."""
    trials: int
    kept: float
    """Allocation of the whole trials that keep the constraint."""


class Slot:
    """A trial as Tune's scheduler sees it."""

    def __init__(self, trial_id: str, point: Point, role: str) -> None:
        self.trial_id, self.point, self.epoch, self.failed = trial_id, point, 0, False
        self.config = {"role": role, "number": int(trial_id)}


@dataclass(frozen=True)
class Side:
    """A searcher and a scheduler, called as Tune calls them."""

    suggest: Callable[[str], tuple[Point, str] | None]
    """A point and its role for a new trial."""
    searcher: Any
    stops: Any
    fail: Callable[[str], None]
    """Tells the searcher of a trial that raised an error."""


def play(side: Side, law: Law, seed: int, *, budget: int = NO_END) -> Iterator[Slot]:
    """Tune's loop with `SLOTS` trials at a time, an epoch each in turn, until `budget` epochs are
    trained; yields the ended ones."""
    live: list[Slot] = []
    trained = number = 0
    while trained < budget:
        while len(live) < SLOTS and (result := side.suggest(str(number))) is not None:
            live.append(Slot(str(number), *result))
            side.stops.on_trial_add(None, live[-1])
            number += 1
        if not live:
            return
        for slot in tuple(live):
            slot.epoch += 1
            trained += 1
            if _over(slot, side, law, seed):
                live.remove(slot)
                yield slot


def _over(slot: Slot, side: Side, law: Law, seed: int) -> bool:
    """Report a trial's epoch; whether it was its last."""
    if law.fails(slot.point, slot.epoch):
        slot.failed = True
        side.stops.on_trial_remove(None, slot)
        side.fail(slot.trial_id)
        return True
    result = law.reported(slot.point, slot.epoch, seed)
    ended = side.stops.on_trial_result(None, slot, result) == TrialScheduler.STOP
    if slot.epoch < EPOCHS and not ended:
        side.searcher.on_trial_result(slot.trial_id, result)
        return False
    side.stops.on_trial_complete(None, slot, result)
    # As Tune does: the result that a trial ends with is only told at its end.
    side.searcher.on_trial_complete(slot.trial_id, result)
    return True


def outcome(slots: Sequence[Slot], law: Law, seed: int) -> Search:
    """Of the whole trials that keep the constraint the best by its own report is chosen; the
    baseline where none does, or else the trial that came furthest."""
    whole = [slot for slot in slots if slot.epoch == EPOCHS]
    kept = [slot for slot in whole if law.kept(slot.point, seed)]
    if law.bound and not kept:
        chosen = BASELINE
    else:
        pool = kept or [slot for slot in slots if not slot.failed]
        chosen = max(
            pool, key=lambda s: (s.epoch, law.reported(s.point, s.epoch, seed)["val/accuracy"])
        ).point
    return Search(
        law.final(chosen),
        sum(slot.epoch for slot in slots),
        len(slots),
        len(kept) / len(whole) if whole else 0.0,
    )


def truthful(
    seed: int,
    trials: int,
    *,
    scheduler: str,
    law: Law = Law(),  # noqa: B008
    named: str = "tpe",
    budget: int = NO_END,
) -> Search:
    """raylt's searcher and scheduler on a law, with a study of record on the disk."""
    searched = law.space(trials, sampler=named, seed=seed, scheduler=scheduler)
    with tempfile.TemporaryDirectory() as folder:
        study = studies.create(
            Path(folder, "law"),
            searched,
            sampler=sampler.sampler(searched, begun=0),
            queue=(),
            facts={"floor": {}, "fingerprint": ""},
        )
        heard = TruthfulSearcher(study, [], str)

        def suggest(trial_id: str) -> tuple[Point, str] | None:
            config = heard.suggest(trial_id)
            if not isinstance(config, dict):
                return None
            heard.started(trial_id)
            return study.outcome(config["number"]).point, config["role"]

        def fail(trial_id: str) -> None:
            heard.on_trial_complete(trial_id, {"failure": "Diverged: the loss became nan"})

        side = Side(suggest, heard, schedulers.scheduler(study), fail)
        result = list(play(side, law, seed, budget=budget))
        study.close()
    return outcome(result, law, seed)


def rays_own(seed: int, trials: int, *, law: Law, grace: int) -> Search:
    """Ray's OptunaSearch and ASHA on a law, with the sampler that raylt would have made.

    Of a constraint it cannot be told; a `Folded` law's score is what it looks at instead.
    """
    searched = law.space(trials, seed=seed, scheduler="{name: asha}")
    heard = OptunaSearch(
        _define,
        metric="score" if isinstance(law, Folded) else "val/accuracy",
        mode="max",
        sampler=sampler.sampler(searched, begun=0),
        study_name="law",
        points_to_evaluate=[dict(BASELINE)] if law.bound else None,
    )
    stops = AsyncHyperBandScheduler(
        metric="val/accuracy",
        mode="max",
        time_attr="epoch",
        grace_period=grace,
        reduction_factor=3,
        max_t=EPOCHS + 1,
    )

    def suggest(trial_id: str) -> tuple[Point, str] | None:
        if int(trial_id) >= trials:
            return None
        result = heard.suggest(trial_id)
        assert isinstance(result, dict)
        assert searched.refusal(result) is None
        return result, "sampled"

    side = Side(suggest, heard, stops, functools.partial(heard.on_trial_complete, error=True))
    return outcome(list(play(side, law, seed)), law, seed)


def _define(trial: optuna.Trial) -> None:
    """The laws' space in Optuna's own way."""
    trial.suggest_float("method.temperature", 0.05, 1.0, log=True)
    prune = trial.suggest_float("method.prune", 0.1, 0.99)
    if prune > 0.5:
        trial.suggest_float("method.random_share", 0.0, 1.0)
    trial.suggest_categorical("method.own_norms", [True, False])
    trial.suggest_float("optimizer.lr", 0.02, 2.0, log=True)
