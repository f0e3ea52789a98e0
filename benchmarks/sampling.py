"""Does the sampler earn its keep? Searches that are played on a law and on a table of trainings.

python -m benchmarks.sampling [--short]

Both sides of a pair have the same seed, the same number of draws and the same sampler settings.
The law is a smooth made-up accuracy of five leaves, one of them a choice and one conditional, with
a learning curve and noise; the table is of real trainings (`benchmarks/table.py`).
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from scipy import stats

from benchmarks import table
from raylt import space
from raylt.space import document
from raylt.study import draws, schedulers, studies
from raylt.study.searcher import TruthfulSearcher

PAIRS = 20
SLOTS = 4
EPOCHS = 27
STARTUP = 10
NOISE = 0.005
LAW = """
study:
  name: NAME
  trials: TRIALS
  objective: val/accuracy
  sampler: {name: NAMED}
  scheduler: SCHEDULER
recipe:
  data: {name: digits}
  method:
    name: sdclr
    temperature: {low: 0.05, high: 1.0, log: true}
    prune: {low: 0.1, high: 0.99}
    random_share: {low: 0.0, high: 1.0, when: method.prune > 0.5}
    own_norms: {choices: [true, false]}
  encoder: small
  optimizer:
    lr: {low: 0.02, high: 2.0, log: true}
    batch_size: 64
  epochs: 27
"""

Point = Mapping[str, Any]


def final(point: Point) -> float:
    """The law: accuracy after infinitely many epochs, 0.9 at the best point."""
    miss = 0.35 * (math.log(point["method.temperature"] / 0.2) / math.log(20)) ** 2
    miss += 0.35 * (point["method.prune"] - 0.7) ** 2
    miss += 0.3 * (math.log(point["optimizer.lr"] / 0.1) / math.log(20)) ** 2
    miss += 0.0 if point["method.own_norms"] else 0.03
    if "method.random_share" in point:
        miss += 0.1 * (point["method.random_share"] - 0.2) ** 2
    return 0.9 - miss


def curve(point: Point, epoch: int) -> float:
    """Accuracy after an epoch: small learning rates are slower, and so look worse at first."""
    pace = 4.0 * (0.3 / point["optimizer.lr"]) ** 0.5
    top = final(point)
    return top - (top - 0.1) * math.exp(-epoch / pace)


def noisy(point: Point, epoch: int, seed: int) -> float:
    """What a trial reports: the curve with Gaussian noise of its own."""
    rng = random.Random(f"{seed} {sorted(point.items())} {epoch}")
    return curve(point, epoch) + rng.gauss(0, NOISE)


@dataclass(frozen=True)
class Search:
    """What a search came to."""

    best: float
    """The law's value of the trial that the search would choose."""
    epochs: int
    """Trained over all trials."""


def sampler(seed: int) -> optuna.samplers.BaseSampler:
    """TPE as raylt sets it, for both sides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True
        )


class Slot:
    """A trial as Tune's scheduler sees it."""

    def __init__(self, trial_id: str, point: Point) -> None:
        self.trial_id, self.point, self.epoch = trial_id, point, 0
        self.config = {"role": "draw"}


def play(
    suggest: Callable[[str], Point | None], searcher: Any, stops: Any, seed: int
) -> Iterator[Slot]:
    """Tune's loop with `SLOTS` trials at a time, an epoch each in turn; yields the ended ones."""
    live: list[Slot] = []
    names = iter(range(10**6))
    while True:
        while len(live) < SLOTS:
            name = f"t{next(names)}"
            point = suggest(name)
            if point is None:
                break
            live.append(Slot(name, point))
            stops.on_trial_add(None, live[-1])
        if not live:
            return
        for slot in tuple(live):
            slot.epoch += 1
            accuracy = noisy(slot.point, slot.epoch, seed)
            result = {
                "epoch": slot.epoch, "training_iteration": slot.epoch, "val/accuracy": accuracy,
            }  # fmt: skip
            ended = stops.on_trial_result(None, slot, result) == TrialScheduler.STOP
            if slot.epoch < EPOCHS and not ended:
                searcher.on_trial_result(slot.trial_id, result)
                continue
            stops.on_trial_complete(None, slot, result)
            # As Tune does: the result that a trial ends with is only told at its end.
            searcher.on_trial_complete(slot.trial_id, result)
            live.remove(slot)
            yield slot


def outcome(slots: Sequence[Slot], seed: int) -> Search:
    """The trial that came furthest and reported most is chosen, as anybody would."""
    chosen = max(slots, key=lambda s: (s.epoch, noisy(s.point, s.epoch, seed)))
    return Search(final(chosen.point), sum(slot.epoch for slot in slots))


def of_law(named: str, trials: int, scheduler: str) -> space.Space:
    text = LAW.replace("TRIALS", str(trials)).replace("SCHEDULER", scheduler)
    text = text.replace("NAMED", named).replace("NAME", "law")
    return space.of(document.parse(text, "law"))


def truthful(seed: int, trials: int, *, early: bool, named: str = "tpe") -> Search:
    """raylt's searcher and scheduler on the law, with a study of record on the disk."""
    searched = of_law(named, trials, "{name: asha}" if early else "{name: none}")
    chosen = sampler(seed) if named == "tpe" else optuna.samplers.RandomSampler(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        study = studies.create(
            Path(folder, "law"), searched, sampler=chosen, queue=(),
            facts={"floor": {}, "fingerprint": ""},
        )  # fmt: skip
        told = TruthfulSearcher(study, [], str)

        def suggest(trial_id: str) -> Point | None:
            config = told.suggest(trial_id)
            if not isinstance(config, dict):
                return None
            told.started(trial_id)
            return study.outcome(config["number"]).point

        found = list(play(suggest, told, schedulers.scheduler(study), seed))
        study.close()
    return outcome(found, seed)


def rays_own(seed: int, trials: int) -> Search:
    """Ray's OptunaSearch and ASHA on the law, with the same sampler settings."""
    searched = of_law("tpe", trials, "{name: asha}")
    told = OptunaSearch(
        _define, metric="val/accuracy", mode="max", sampler=sampler(seed), study_name="law"
    )
    stops = AsyncHyperBandScheduler(
        metric="val/accuracy", mode="max", time_attr="epoch", grace_period=1, reduction_factor=3,
        max_t=EPOCHS + 1,
    )  # fmt: skip
    left = iter(range(trials))

    def suggest(trial_id: str) -> Point | None:
        if next(left, None) is None:
            return None
        found = told.suggest(trial_id)
        assert isinstance(found, dict)
        assert searched.refusal(found) is None
        return found

    return outcome(list(play(suggest, told, stops, seed)), seed)


def _define(trial: optuna.Trial) -> None:
    """The law's space in Optuna's own way."""
    trial.suggest_float("method.temperature", 0.05, 1.0, log=True)
    prune = trial.suggest_float("method.prune", 0.1, 0.99)
    if prune > 0.5:
        trial.suggest_float("method.random_share", 0.0, 1.0)
    trial.suggest_categorical("method.own_norms", [True, False])
    trial.suggest_float("optimizer.lr", 0.02, 2.0, log=True)


def on_table(named: str, seed: int, trials: int, looked_up: table.Table) -> float:
    """The best accuracy that a search by a sampler finds in the table."""
    text = table.SPACE.replace("NAME", "table")
    if named == "random":
        text = text.replace("name: tpe, seed: 0, startup: 8", f"name: random, seed: {seed}")
    searched = space.of(document.parse(text.replace("seed: 0", f"seed: {seed}"), "table"))
    study = optuna.create_study(direction="maximize", sampler=draws.sampler(searched, begun=0))
    best, taken = 0.0, set[str]()
    for number in range(trials):
        trial = study.ask()
        drawn = draws.draw(study, study.trials[number], searched, taken=taken, seed=number)
        assert drawn is not None
        point, recipe = drawn
        taken.add(recipe.digest)
        for path, law in draws.distributions(searched, point).items():
            internal = law.to_internal_repr(point[path])
            study._storage.set_trial_param(trial._trial_id, path, internal, law)
        reached = looked_up.accuracy(point)  # type: ignore[arg-type]
        study.tell(trial, reached)
        best = max(best, reached)
    return best


def row(name: str, ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Means in points and the paired difference with a BCa interval."""
    gaps = 100 * (np.array(ours) - np.array(theirs))
    low, high = np.nan, np.nan
    if len(set(gaps.tolist())) > 1:
        found = stats.bootstrap(
            (gaps,), np.mean, n_resamples=9999, rng=np.random.default_rng(0), method="BCa"
        ).confidence_interval
        low, high = found.low, found.high
    wins, ties = int(np.sum(gaps > 0)), int(np.sum(gaps == 0))
    return (
        f"| {name} | {100 * statistics.mean(ours):.2f} | {100 * statistics.mean(theirs):.2f} "
        f"| **{gaps.mean():+.2f}** | {low:+.2f} ... {high:+.2f} "
        f"| {wins} won, {ties} equal, {len(gaps) - wins - ties} lost |"
    )


HEAD = (
    "| | first | second | difference | interval | of the pairs |",
    "|---|---:|---:|---:|---:|---|",
)


def on_law(*, short: bool) -> list[str]:
    """The table of the searches on the law, as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds, trials, whole = range(2 if short else PAIRS), 12 if short else 40, 8 if short else 24
    ours = [truthful(seed, whole, early=False) for seed in seeds]
    chance = [truthful(seed, whole, early=False, named="random") for seed in seeds]
    told = [truthful(seed, trials, early=True) for seed in seeds]
    rays = [rays_own(seed, trials) for seed in seeds]
    return [
        f"Accuracy in points of the trial that a search chooses, mean over {len(seeds)} seeds, "
        "with the paired difference and its BCa interval of 95 %. The law is made up (see "
        "`benchmarks/sampling.py`): five leaves, one a choice and one conditional, 90 points at "
        "best, a learning curve in which small learning rates look worse at first, and noise of "
        f"{100 * NOISE} points; shown is its value without noise.",
        "",
        *HEAD,
        row(f"{whole} whole trials: TPE, random", [s.best for s in ours],
            [s.best for s in chance]),
        row(f"{trials} trials with ASHA: raylt's searcher, Ray's OptunaSearch",
            [s.best for s in told], [s.best for s in rays]),
        "",
        f"With ASHA {SLOTS} trials run at a time; both searchers have TPE with the same settings "
        "and seed, and Ray's ASHA with the same rungs (1, 3 and 9 of 27 epochs, a third goes on). "
        f"raylt's trained {statistics.mean(s.epochs for s in told):.0f} epochs a search, Ray's "
        f"{statistics.mean(s.epochs for s in rays):.0f}.",
    ]  # fmt: skip


def on_digits(*, short: bool) -> list[str]:
    """The table of the searches among real trainings, as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds, trials, looked_up = range(2 if short else PAIRS), 14, table.Table()
    return [
        f"As above, among {len(looked_up.rows)} real trainings of SDCLR on the digits, a lattice "
        "over temperature, pruning ratio and learning rate with one seed each: a search is told "
        "what the nearest of them reached on the 300 validation images (`benchmarks/table.py`). "
        f"Their best has {100 * looked_up.best:.1f} points, their median "
        f"{100 * statistics.median(reached for _, reached in looked_up.rows):.1f}.",
        "",
        *HEAD,
        row(
            f"{trials} whole trials: TPE, random",
            [on_table("tpe", seed, trials, looked_up) for seed in seeds],
            [on_table("random", seed, trials, looked_up) for seed in seeds],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny searches: does it run?")
    short = parser.parse_args().short
    print("\n".join([*on_law(short=short), "", *on_digits(short=short)]))


if __name__ == "__main__":
    main()
