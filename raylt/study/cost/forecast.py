"""What a search will cost, before it begins: hours, time, memory, disk, and its budget.

The cost of a trial is measured at a few corners of the space; every draw is taken to cost what the
nearest corner does, with its own number of epochs. All trials are taken to train to their end;
what early stopping saves of that is estimated by a formula.
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
from raylt.space import Point, Space
from raylt.space import leaf as leaves
from raylt.space.plan import Study
from raylt.study.cost import budget
from raylt.study.cost.budget import Account
from raylt.study.record.text import duration, hours
from raylt.study.resources.allocation import Allocation
from raylt.trial.cost.cost import Cost

_HEAVY = (
    "optimizer.batch_size",
    "encoder",
    "encoder.name",
    "encoder.freeze",
    "size",
    "precision",
    "compile",
    "evaluation.probe",
    "evaluation.labels",
)
"""Leaves that decide how long a step takes, besides all of `data`."""
_CORNERS = 8
"""Recipes that are measured at most."""
_DRAWS = 200

Measured = Sequence[tuple[Recipe, Cost]]


def corners(space: Space) -> tuple[Recipe, ...]:
    """The recipes to be measured: the baseline, and the ends of every leaf that makes steps dear.

    The first one is the typical one.
    """
    base = _base(space)
    heavy = [leaf for leaf in space.leaves if _is_heavy(leaf.path)]
    points = [base]
    for ends in itertools.product(*(leaf.ends for leaf in heavy)):
        chosen = dict(zip((leaf.path for leaf in heavy), ends, strict=True))
        point = leaves.assemble(
            space.leaves,
            space.known,
            lambda leaf, chosen=chosen: chosen.get(leaf.path, base.get(leaf.path, leaf.ends[0])),
        )
        if space.allows(point):
            points.append(point)
    distinct = {recipe.digest: recipe for recipe in map(space.at, points)}
    return tuple(distinct.values())[:_CORNERS]


def _base(space: Space) -> Point:
    if space.baseline_point is not None:
        return space.baseline_point
    return space.points[0] if space.points else space.draw(random.Random(0))


def _is_heavy(path: str) -> bool:
    return path in _HEAVY or path.startswith("data.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a search will take if every trial trains to its end; times in seconds."""

    trials: int
    least: float
    """Of the shortest trial."""
    mean: float
    """Of a trial on average."""
    most: float
    """Of the longest."""
    share: float
    """Share of the epochs that early stopping leaves to be trained, as an estimate."""
    concurrent: int
    """Trials at a time."""
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
    """Bytes of a GPU's memory that one trial holds at most."""
    steps: tuple[str, ...]
    """How the steps of the measured recipes are computed."""
    budget: tuple[Account, ...]
    """Every limit of the study's budget, with what the whole search will use of it."""

    @property
    def affordable(self) -> int:
        """How many of the trials the budget pays for, about."""
        return min([self.trials, *(_paid(account, self.trials) for account in self.budget)])


def forecast(space: Space, measured: Measured, allocation: Allocation, *, trials: int) -> Forecast:
    """What `trials` trials of a space will take.

    Args:
        measured: Some of its recipes and what they cost, in a process alone.
    """
    rng = random.Random(0)
    points = [space.draw(rng) for _ in range(_DRAWS)] if space.leaves else [{}]
    sample = [recipes.parse(recipes.filled(space.fixed, point)) for point in points]
    workers = allocation.shape.workers
    times = [_seconds(recipe, nearest(recipe, measured), workers) for recipe in sample]
    mean = sum(times) / len(times)
    hours = trials * mean / 3600
    wall = max(trials * mean / min(allocation.concurrent, trials), max(times))
    used = {
        "cpu_hours": hours * workers * allocation.shape.cpus,
        "gpu_hours": hours * workers * allocation.shape.gpus,
        "wall_clock": wall / 3600,
    }
    return Forecast(
        trials=trials,
        least=min(times),
        mean=mean,
        most=max(times),
        share=trained_share(space.study, max(recipe.epochs for recipe in sample)),
        concurrent=allocation.concurrent,
        cpu_hours=used["cpu_hours"],
        gpu_hours=used["gpu_hours"],
        wall=wall,
        disk=max(cost.disk for _, cost in measured)
        * _kept(space.study, trials, allocation.concurrent),
        memory=max(cost.memory for _, cost in measured),
        gpu_memory=max(cost.gpu_memory for _, cost in measured),
        steps=tuple(dict.fromkeys(cost.steps for _, cost in measured if cost.steps)),
        budget=budget.accounts_of(space.study.budget, used),
    )


def _seconds(recipe: Recipe, cost: Cost, workers: int) -> float:
    """Of a whole trial; several workers are taken to share the training evenly."""
    alone = cost.seconds(recipe)
    return alone - recipe.epochs * cost.epoch * (1 - 1 / workers)


def _kept(study: Study, trials: int, concurrent: int) -> int:
    """Trials whose checkpoints are on the disk at once, as `study.checkpoints` says."""
    if study.checkpoints == "all":
        return trials
    return min(trials, concurrent + study.confirm.top + (study.baseline is not None))


def nearest(recipe: Recipe, measured: Measured) -> Cost:
    """The cost of the measured recipe that is most like one in what makes steps dear."""
    wanted = _heavy(recipe)

    def distance(pair: tuple[Recipe, Cost]) -> float:
        return sum(_apart(value, wanted.get(path)) for path, value in _heavy(pair[0]).items())

    return min(measured, key=distance)[1]


def _heavy(recipe: Recipe) -> Mapping[str, Value]:
    values = recipes.flat(recipe.model_dump(mode="json"))
    return {path: value for path, value in values.items() if _is_heavy(path)}


def _apart(first: Value, second: Value | None) -> float:
    """Numbers are far apart by their ratio, words wholly."""
    if first == second:
        return 0.0
    numbers = [value for value in (first, second) if isinstance(value, int | float) and value > 0]
    return abs(math.log2(numbers[0] / numbers[1])) if len(numbers) == 2 else 100.0


def trained_share(study: Study, epochs: int) -> float:
    """About which share of all epochs is trained where ASHA stops weak trials; 1 without it.

    One trial in `factor` passes each rung, as it is with many trials. What other schedulers save
    depends on the scores.
    """
    scheduler = study.scheduler
    if scheduler.name != "asha":
        return 1.0
    # The keys of the schedulers' files are not known to type checkers.
    values = scheduler.model_dump()
    rung, factor, passing = values["grace"], values["factor"], 1.0
    trained = float(min(rung, epochs))
    while rung < epochs:
        passing /= factor
        trained += passing * (min(rung * factor, epochs) - rung)
        rung *= factor
    return trained / epochs


def lines(forecast: Forecast, *, free: int | None) -> list[str]:
    """A forecast for people.

    Args:
        free: Bytes that are free where the checkpoints go, if known.
    """
    gpus = f", {hours(forecast.gpu_hours)} GPU-hours" if forecast.gpu_hours else ""
    gpu_memory = f", {_size(forecast.gpu_memory)} of GPU memory" if forecast.gpu_memory else ""
    shortest, longest = duration(forecast.least), duration(forecast.most)
    between = "" if shortest == longest else f" ({shortest} to {longest})"
    text = [
        f"trial      {duration(forecast.mean)} to its end{between}; "
        f"{_size(forecast.memory)} of memory{gpu_memory}",
        f"search     {forecast.trials} trials to their end: {hours(forecast.cpu_hours)} CPU-hours"
        f"{gpus}, {duration(forecast.wall)} with {forecast.concurrent} at a time",
    ]
    text += [f"steps      {sentence}" for sentence in forecast.steps]
    if forecast.share < 1:
        text.append(
            f"           early stopping trains about {100 * forecast.share:.0f} % of the epochs "
            "(estimated from grace and factor)"
        )
    known = "" if free is None else f", {_size(free)} free"
    text.append(f"disk       {_size(forecast.disk)} of checkpoints{known}")
    if free is not None and free < forecast.disk:
        text.append("warning: that is more than is free; name another folder with --runs")
    return text + [
        f"budget     {_verdict(account, forecast.trials)}" for account in forecast.budget
    ]


def _verdict(account: Account, trials: int) -> str:
    """Whether a limit of the budget suffices, in words."""
    paid = _paid(account, trials)
    word = "suffices" if paid >= trials else f"is enough for about {paid} of {trials} trials"
    return f"{account.name}: {hours(account.used)} of {hours(account.limit)} h, which {word}"


def _paid(account: Account, trials: int) -> int:
    """How many of the trials a limit pays for, about."""
    return math.floor(trials * account.limit / account.used) if account.used else trials


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
