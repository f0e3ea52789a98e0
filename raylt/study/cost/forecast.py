"""What a search will cost, before it begins: hours, time on the clock, disk, and its budget.

The cost of a trial is measured at a few corners of the space; every draw is taken to cost what the
nearest corner does, with its own number of epochs. How many epochs a scheduler saves is found by
playing its rule on trials of random rank.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raylt import recipe as recipes
from raylt.recipe import Recipe
from raylt.schema import Value
from raylt.space import Point, Space, leaf
from raylt.space.plan import Study
from raylt.study.cost import budget as purse
from raylt.study.cost.budget import Account
from raylt.study.record.text import duration
from raylt.trial.cost.cost import Cost

_HEAVY = (
    "optimizer.batch_size",
    "encoder",
    "size",
    "precision",
    "compile",
    "evaluation.probe",
    "evaluation.labels",
)
"""Leaves that decide what a step takes, beside all of `data`."""
_CORNERS = 8
"""Recipes that are measured at most."""
_DRAWS = 200
_GAMES = 20
"""Searches that are played to find what a scheduler saves."""

Measured = Sequence[tuple[Recipe, Cost]]


def corners(space: Space) -> tuple[Recipe, ...]:
    """The recipes to be measured: the baseline, and the ends of every leaf that makes steps dear.

    The first one is the typical one.
    """
    base = _base(space)
    heavy = [each for each in space.leaves if _is_heavy(each.path)]
    found = [base]
    for ends in itertools.product(*(each.ends for each in heavy)):
        chosen = dict(zip((each.path for each in heavy), ends, strict=True))
        point = leaf.assemble(
            space.leaves,
            space.known,
            lambda one, chosen=chosen: chosen.get(one.path, base.get(one.path, one.ends[0])),
        )
        if space.allows(point):
            found.append(point)
    unlike = {recipe.digest: recipe for recipe in map(space.at, found)}
    return tuple(unlike.values())[:_CORNERS]


def _base(space: Space) -> Point:
    if space.baseline_point is not None:
        return space.baseline_point
    return space.points[0] if space.points else space.draw(random.Random(0))


def _is_heavy(path: str) -> bool:
    return path in _HEAVY or path.startswith("data.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the trials of a search book, and how many run at a time."""

    workers: int
    cpus: float
    """Cores of a trial, over all of its workers."""
    gpus: float
    """GPUs, likewise."""
    concurrent: int
    """Trials at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a search will take; times in seconds."""

    trials: int
    least: float
    """Of the shortest trial that runs to its end."""
    mean: float
    """Of such a trial on average."""
    most: float
    """Of the longest."""
    share: float
    """Share of the epochs that the scheduler lets the trials train, about."""
    concurrent: int
    cpu_hours: float
    """Hours of cores."""
    gpu_hours: float
    """Hours of GPUs."""
    wall: float
    """On the clock."""
    disk: int
    """Bytes of checkpoints at once."""
    memory: int
    """Bytes of the host's memory that one trial holds at most."""
    gpu_memory: int
    """Bytes of a GPU's, likewise."""
    budget: tuple[Account, ...]
    """Every limit of the study's budget, with what the whole search will use of it."""

    @property
    def affordable(self) -> int:
        """About how many of the trials the budget is enough for."""
        shares = [one.limit / one.used for one in self.budget if one.used]
        return min([self.trials, *(math.floor(self.trials * each) for each in shares)])


def forecast(space: Space, measured: Measured, means: Means, *, trials: int) -> Forecast:
    """What `trials` trials of a space will take.

    Args:
        space: What is searched.
        measured: Some of its recipes and what they cost, in a process alone.
        means: What a trial books.
        trials: How many there are.
    """
    rng = random.Random(0)
    points = [space.draw(rng) for _ in range(_DRAWS)] if space.leaves else [{}]
    sample = [recipes.parse(recipes.filled(space.fixed, point)) for point in points]
    times = [_seconds(recipe, nearest(recipe, measured), means) for recipe in sample]
    mean = sum(times) / len(times)
    share = trained_share(space.study, max(recipe.epochs for recipe in sample), trials)
    total = trials * mean * share
    wall = max(total / min(means.concurrent, trials), max(times))
    hours = total / 3600
    used = {
        "cpu_hours": hours * means.cpus,
        "gpu_hours": hours * means.gpus,
        "wall_clock": wall / 3600,
    }
    return Forecast(
        trials=trials,
        least=min(times),
        mean=mean,
        most=max(times),
        share=share,
        concurrent=means.concurrent,
        cpu_hours=used["cpu_hours"],
        gpu_hours=used["gpu_hours"],
        wall=wall,
        disk=max(cost.disk for _, cost in measured) * _kept(space.study, trials, means),
        memory=max(cost.memory for _, cost in measured),
        gpu_memory=max(cost.gpu_memory for _, cost in measured),
        budget=tuple(
            Account(name, used[name], limit)
            for name, limit in purse.limits(space.study.budget).items()
        ),
    )


def _seconds(recipe: Recipe, cost: Cost, means: Means) -> float:
    """Of a whole trial; several workers are taken to share the training evenly."""
    alone = cost.seconds(recipe)
    return alone - recipe.epochs * cost.epoch * (1 - 1 / means.workers)


def _kept(study: Study, trials: int, means: Means) -> int:
    """Trials whose checkpoints are on the disk at once, as `study.checkpoints` says."""
    if study.checkpoints == "all":
        return trials
    return min(trials, means.concurrent + study.confirm.top + (study.baseline is not None))


def nearest(recipe: Recipe, measured: Measured) -> Cost:
    """The cost of the measured recipe that is most like one in what makes steps dear."""
    mine = _heavy(recipe)

    def distance(pair: tuple[Recipe, Cost]) -> float:
        return sum(_apart(value, mine.get(path)) for path, value in _heavy(pair[0]).items())

    return min(measured, key=distance)[1]


def _heavy(recipe: Recipe) -> Mapping[str, Value]:
    values = recipes.flat(recipe.model_dump(mode="json"))
    return {path: value for path, value in values.items() if _is_heavy(path)}


def _apart(one: Value, other: Value | None) -> float:
    """Numbers are far apart by their ratio, words wholly."""
    if one == other:
        return 0.0
    numbers = [each for each in (one, other) if isinstance(each, int | float) and each > 0]
    return abs(math.log2(numbers[0] / numbers[1])) if len(numbers) == 2 else 100.0


def trained_share(study: Study, epochs: int, trials: int) -> float:
    """The share of all epochs that is trained where a scheduler stops the weak; 1 without one.

    Only successive halving has a rule that is the same for every score; the others save what
    nobody can foresee. The baseline, the first trial, is never stopped.

    Args:
        study: Its scheduler, and whether it has a baseline.
        epochs: Epochs of a trial.
        trials: Trials of the search.
    """
    if study.scheduler.name != "asha":
        return 1.0
    rng = random.Random(0)
    games = [_played([rng.random() for _ in range(trials)], study, epochs) for _ in range(_GAMES)]
    return sum(games) / (_GAMES * trials * epochs)


def _played(ranks: Sequence[float], study: Study, epochs: int) -> int:
    """Epochs that successive halving lets trials of these ranks train, one after the other."""
    scheduler = study.scheduler
    assert scheduler.grace is not None
    rungs: dict[int, list[float]] = {}
    end = scheduler.grace
    while end < epochs:
        rungs[end] = []
        end *= scheduler.factor
    ends = [_until(rank, rungs, scheduler.factor, epochs) for rank in ranks]
    if study.baseline is not None:
        ends[0] = epochs
    return sum(ends)


def _until(rank: float, rungs: Mapping[int, list[float]], factor: int, epochs: int) -> int:
    """The epoch at which a trial of that rank ends; it is written into the rungs it reaches."""
    for epoch, seen in rungs.items():
        seen.append(rank)
        # One in `factor` goes on; the first at a rung has nobody to be compared with.
        if sum(other > rank for other in seen) > len(seen) / factor:
            return epoch
    return epochs


def lines(found: Forecast, *, free: int | None) -> list[str]:
    """A forecast for people.

    Args:
        found: The forecast.
        free: Bytes that are free where the checkpoints go, if known.
    """
    gpus = f", {found.gpu_hours:.3g} GPU-hours" if found.gpu_hours else ""
    saved = (
        f"; about {100 * found.share:.0f} % of their epochs are trained, for the weak are stopped"
        if found.share < 1
        else ""
    )
    held = f", {_size(found.gpu_memory)} of a GPU's" if found.gpu_memory else ""
    ends = (duration(found.least), duration(found.most))
    between = "" if ends[0] == ends[1] else f" ({ends[0]} to {ends[1]})"
    told = [
        f"trial      {duration(found.mean)} to its end{between}; {_size(found.memory)} of memory"
        f"{held}",
        f"search     {found.trials} trials{saved}: {found.cpu_hours:.3g} CPU-hours{gpus}, "
        f"{duration(found.wall)} with {found.concurrent} at a time",
        f"disk       {_size(found.disk)} of checkpoints"
        + ("" if free is None else f", {_size(free)} are free"),
    ]
    if free is not None and free < found.disk:
        told.append("warning: that is more than is free; another folder can be named with --runs")
    return told + [f"budget     {line}" for line in budget(found)]


def budget(found: Forecast) -> list[str]:
    """Whether each limit of the budget suffices, in words."""
    told: list[str] = []
    for one in found.budget:
        enough = math.floor(found.trials * one.limit / one.used) if one.used else found.trials
        word = (
            "suffices"
            if enough >= found.trials
            else (f"is enough for about {enough} of {found.trials} trials")
        )
        told.append(f"{one.name}: {one.used:.3g} of {one.limit:.3g} h, which {word}")
    return told


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
