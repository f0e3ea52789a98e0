"""Does the sampler earn its keep, and what does early stopping cost? Searches of made-up laws.

Both sides of a pair have the same seed, the same number of draws or epochs and the same settings
of the sampler; the laws are in `benchmarks/laws.py`. The comparison with Ray's OptunaSearch under
constraints was written down before it was run: 60 trials with ASHA at a grace of one epoch, a
constraint over the baseline, trials that fail, 20 pairs. Ray's side is told of the baseline and
of failures as well as it can be told; of constraints it cannot be told at all. Both sides choose
alike, the best whole trial that keeps the constraint, or else the baseline.
"""

from __future__ import annotations

import functools
import os
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from scipy import stats

from benchmarks.laws import BASELINE, EPOCHS, NOISE, Law, Point
from raylt.study import schedulers, studies
from raylt.study.searcher import TruthfulSearcher

PAIRS = 20
SLOTS = 4
STARTUP = 10
BUDGET = 20 * EPOCHS
"""Epochs of the searches that differ in their grace."""
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
    """Share of the whole trials that keep the constraint."""


def sampler(seed: int) -> optuna.samplers.BaseSampler:
    """TPE as raylt sets it, for both sides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True
        )


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
        while len(live) < SLOTS and (found := side.suggest(str(number))) is not None:
            live.append(Slot(str(number), *found))
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
    """The best whole trial that keeps the constraint is chosen; the baseline where none does, or
    else the trial that came furthest."""
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
        law.final(chosen), sum(slot.epoch for slot in slots), len(slots),
        len(kept) / len(whole) if whole else 0.0,
    )  # fmt: skip


def truthful(
    seed: int, trials: int, *, scheduler: str, law: Law = Law(), named: str = "tpe",  # noqa: B008
    budget: int = NO_END,
) -> Search:  # fmt: skip
    """raylt's searcher and scheduler on a law, with a study of record on the disk."""
    searched = law.space(trials, sampler=named, scheduler=scheduler)
    chosen = sampler(seed) if named == "tpe" else optuna.samplers.RandomSampler(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        study = studies.create(
            Path(folder, "law"), searched, sampler=chosen, queue=(),
            facts={"floor": {}, "fingerprint": ""},
        )  # fmt: skip
        told = TruthfulSearcher(study, [], str)

        def suggest(trial_id: str) -> tuple[Point, str] | None:
            config = told.suggest(trial_id)
            if not isinstance(config, dict):
                return None
            told.started(trial_id)
            return study.outcome(config["number"]).point, config["role"]

        def fail(trial_id: str) -> None:
            told.on_trial_complete(trial_id, {"failure": "Diverged: the loss became nan"})

        side = Side(suggest, told, schedulers.scheduler(study), fail)
        found = list(play(side, law, seed, budget=budget))
        study.close()
    return outcome(found, law, seed)


def rays_own(seed: int, trials: int, *, law: Law) -> Search:
    """Ray's OptunaSearch and ASHA on a law, with the same sampler settings."""
    searched = law.space(trials, scheduler="{name: asha}")
    told = OptunaSearch(
        _define, metric="val/accuracy", mode="max", sampler=sampler(seed), study_name="law",
        points_to_evaluate=[dict(BASELINE)] if law.bound else None,
    )  # fmt: skip
    stops = AsyncHyperBandScheduler(
        metric="val/accuracy", mode="max", time_attr="epoch", grace_period=1, reduction_factor=3,
        max_t=EPOCHS + 1,
    )  # fmt: skip

    def suggest(trial_id: str) -> tuple[Point, str] | None:
        if int(trial_id) >= trials:
            return None
        found = told.suggest(trial_id)
        assert isinstance(found, dict)
        assert searched.refusal(found) is None
        return found, "draw"

    side = Side(suggest, told, stops, functools.partial(told.on_trial_complete, error=True))
    return outcome(list(play(side, law, seed)), law, seed)


def _define(trial: optuna.Trial) -> None:
    """The laws' space in Optuna's own way."""
    trial.suggest_float("method.temperature", 0.05, 1.0, log=True)
    prune = trial.suggest_float("method.prune", 0.1, 0.99)
    if prune > 0.5:
        trial.suggest_float("method.random_share", 0.0, 1.0)
    trial.suggest_categorical("method.own_norms", [True, False])
    trial.suggest_float("optimizer.lr", 0.02, 2.0, log=True)


def row(name: str, ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Means in points and the paired difference with a BCa interval."""
    gaps = 100 * (np.array(ours) - np.array(theirs))
    ends = "-"
    if len(set(gaps.tolist())) > 1:
        found = stats.bootstrap(
            (gaps,), np.mean, n_resamples=9999, rng=np.random.default_rng(0), method="BCa"
        ).confidence_interval
        ends = f"{found.low:+.2f} ... {found.high:+.2f}"
    wins, ties = int(np.sum(gaps > 0)), int(np.sum(gaps == 0))
    return (
        f"| {name} | {100 * statistics.mean(ours):.2f} | {100 * statistics.mean(theirs):.2f} "
        f"| **{gaps.mean():+.2f}** | {ends} "
        f"| {wins} won, {ties} equal, {len(gaps) - wins - ties} lost |"
    )


HEAD = (
    "| | first | second | difference | interval | of the pairs |",
    "|---|---:|---:|---:|---:|---|",
)


def on_laws(*, short: bool) -> list[str]:
    """The table of samplers and searchers, as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(2 if short else PAIRS)
    whole, plain, many = (8, 12, 12) if short else (24, 40, 60)
    asha = "{name: asha, grace: 1}"
    bound = Law(bound=True)
    ours = [truthful(seed, whole, scheduler="{name: none}") for seed in seeds]
    chance = [truthful(seed, whole, scheduler="{name: none}", named="random") for seed in seeds]
    told = [truthful(seed, plain, scheduler=asha) for seed in seeds]
    rays = [rays_own(seed, plain, law=Law()) for seed in seeds]
    bound_told = [truthful(seed, many, scheduler=asha, law=bound) for seed in seeds]
    bound_rays = [rays_own(seed, many, law=bound) for seed in seeds]
    return [
        f"Accuracy in points of the trial that a search chooses, mean over {len(seeds)} seeds, "
        "with the paired difference and its BCa interval of 95 %. The laws are made up (see "
        "`benchmarks/laws.py`): five leaves, one a choice and one conditional, 90 points at "
        "best, a learning curve in which small learning rates look worse at first, and noise of "
        f"{100 * NOISE} points; shown is the value without noise.",
        "",
        *HEAD,
        row(f"{whole} whole trials: TPE, random", _best(ours), _best(chance)),
        row(f"{plain} trials with ASHA: raylt's searcher, Ray's OptunaSearch",
            _best(told), _best(rays)),
        row(f"{many} trials with ASHA, a constraint and failures: raylt's searcher, Ray's "
            "OptunaSearch", _best(bound_told), _best(bound_rays)),
        "",
        f"With ASHA {SLOTS} trials run at a time; both searchers have TPE with the same settings "
        "and seed, and Ray's ASHA with the same rungs (1, 3 and 9 of 27 epochs, a third goes on). "
        f"raylt's trained {_mean_epochs(told)} epochs a search, Ray's {_mean_epochs(rays)}; in "
        f"the last row {_mean_epochs(bound_told)} and {_mean_epochs(bound_rays)}. There the "
        "many-shot classes must not lose more than a point against the baseline, large learning "
        "rates diverge, and a search without a trial that keeps the constraint falls back on the "
        f"baseline; of the whole trials {_mean_kept(bound_told)} % of raylt's and "
        f"{_mean_kept(bound_rays)} % of Ray's kept it.",
    ]  # fmt: skip


def on_grace(*, short: bool) -> list[str]:
    """The table of graces at equal epochs, as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(2 if short else PAIRS)
    rows: list[str] = []
    for law, name in ((Law(), "small rates start slowly"), (Law(slow=False), "all start alike")):
        none = [_within(seed, law, "{name: none}") for seed in seeds]
        for grace in (1, 3, 9):
            found = [_within(seed, law, f"{{name: asha, grace: {grace}}}") for seed in seeds]
            trials = statistics.mean(one.trials for one in found)
            rows.append(row(
                f"{name}; grace of {grace} epochs ({trials:.0f} trials), whole trials",
                _best(found), _best(none),
            ))  # fmt: skip
    return [
        f"ASHA with a grace of 1, 3 or 9 of {EPOCHS} epochs against whole trials, TPE and "
        f"{BUDGET} epochs of training each, on two laws as above, {len(seeds)} seeds.",
        "",
        *HEAD,
        *rows,
    ]


def _within(seed: int, law: Law, scheduler: str) -> Search:
    return truthful(seed, NO_END, scheduler=scheduler, law=law, budget=BUDGET)


def _best(found: Sequence[Search]) -> list[float]:
    return [one.best for one in found]


def _mean_epochs(found: Sequence[Search]) -> str:
    return f"{statistics.mean(one.epochs for one in found):.0f}"


def _mean_kept(found: Sequence[Search]) -> str:
    return f"{100 * statistics.mean(one.kept for one in found):.0f}"
