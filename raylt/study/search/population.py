"""Population based training (Jaderberg et al., 2017): weak trials go on from strong ones.

All open trials of a study are trained for a generation. Then the weakest take over the weights,
the optimizer's state and the values of a strong one, change the values a little, and everybody
trains on. What a trial reached belongs then to a schedule of values, and the record says which:
its recipe has the whole lineage as `changes`, so that training it from the start gives the same
model, and its `takeovers` name the parents. The baseline is looked at but never replaced.

A generation is written down before it is carried out, and carrying it out twice does no harm: a
killed driver's successor ends what was begun.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylt import recipe as recipes
from raylt.recipe import Recipe
from raylt.schema import InputError, Value
from raylt.space import Leaf, Space
from raylt.space.measures import METRICS
from raylt.study.record import bucket
from raylt.study.record.outcome import Metrics
from raylt.study.record.record import Record

FACTORS = (0.8, 1.2)
"""What a taken over value is multiplied with: one of the two, as in the paper."""
RESAMPLE = 0.25
"""How often a value is drawn anew from its range instead."""
_TRIES = 50
"""Changes of one trial that may break a rule of the space before its takeover is given up."""
_FACT = "generations"


@dataclass(frozen=True, slots=True)
class Standing:
    """A trial at the end of a generation."""

    number: int
    score: float
    """What the scheduler watches; more is better."""
    spared: bool
    """Whether it must not be replaced."""


def takeovers(
    standings: Iterable[Standing], *, share: float, choose: Callable[[Sequence[int]], int]
) -> dict[int, int]:
    """Who goes on from whom: each of the weakest `share` from one of as many of the best.

    Args:
        standings: The population.
        share: Of it, rounded up, but never more than half.
        choose: Picks one of the best.

    Returns:
        Replaced trial -> parent.
    """
    ranked = sorted(standings, key=lambda one: (-one.score, one.number))
    count = min(math.ceil(share * len(ranked)), len(ranked) // 2)
    if not count:
        return {}
    best, worst = ranked[:count], ranked[-count:]
    return {
        one.number: choose([parent.number for parent in best])
        for one in worst
        if not one.spared and one.score < best[-1].score
    }


def changed(
    values: Mapping[str, Value], leaves: Iterable[Leaf], rng: random.Random
) -> dict[str, float]:
    """Values moved by a factor each or drawn anew, within the ranges of their leaves."""
    found: dict[str, float] = {}
    for leaf in leaves:
        before = values[leaf.path]
        assert isinstance(before, int | float)
        fresh = leaf.draw(rng) if rng.random() < RESAMPLE else before * rng.choice(FACTORS)
        found[leaf.path] = _within(leaf, fresh)
    return found


def _within(leaf: Leaf, value: Value) -> float:
    low, high = leaf.ends
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    assert isinstance(value, int | float)
    if leaf.step is not None:
        value = low + round((value - low) / leaf.step) * leaf.step
    return float(min(high, max(low, value)))


class Population:
    """The open trials of a study that go on from one another.

    Args:
        record: The study; the caller is its only writer.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._plan = record.space.study.scheduler
        self._generations: list[dict[str, Any]] = list(record.facts.get(_FACT, []))
        if self._generations and not self._generations[-1]["carried_out"]:
            self._carry_out(self._generations[-1])

    def end(self, number: int) -> int:
        """The epoch at which the next generation of a trial ends."""
        return (self._epoch(number) // self._plan.every + 1) * self._plan.every

    def rests(self, number: int) -> bool:
        """Whether a trial stands at the end of a generation that is not over for it."""
        epoch = self._epoch(number)
        return (
            epoch > 0
            and epoch % self._plan.every == 0
            and not any(
                found["epoch"] == epoch and number in found["members"]
                for found in self._generations
            )
        )

    def breed(self, numbers: Iterable[int]) -> list[int]:
        """End the generation of those of some resting trials that came least far.

        Returns:
            Their numbers: they may train on.
        """
        epochs = {number: self._epoch(number) for number in numbers}
        epoch = min(epochs.values())
        members = sorted(number for number, at in epochs.items() if at == epoch)
        generation: dict[str, Any] = {
            "epoch": epoch,
            "members": members,
            "carried_out": False,
            "takeovers": list(self._takeovers(members, epoch)),
        }
        self._generations.append(generation)
        self._record.note(_FACT, self._generations)
        self._carry_out(generation)
        # A copy: the caller takes the numbers out of it one by one.
        return list(members)

    def values(self, recipe: Recipe, epoch: int) -> Metrics:
        """The open leaves' values in an epoch (from 1) of a run, as `leaf/...` metrics."""
        holding = next(recipe.stages(epoch - 1))[0]
        return {
            f"leaf/{path}": float(value)
            for path, value in _values(self._record.space, holding).items()
            if isinstance(value, int | float)
        }

    def lineage(self, number: int, own: Mapping[int, Metrics]) -> dict[int, Metrics]:
        """The epochs that lie behind a trial's weights: its own since it last went on from
        another, and before that those of the other; what it had reached until then is gone.

        Args:
            number: The trial.
            own: Every epoch that it has reported.
        """
        return self._behind(number, own, math.inf)

    def _behind(self, number: int, own: Mapping[int, Metrics], end: float) -> dict[int, Metrics]:
        taken = [one for one in self._record.outcome(number).takeovers if one["epoch"] < end]
        if not taken:
            return {epoch: found for epoch, found in own.items() if epoch <= end}
        last = max(taken, key=lambda one: one["epoch"])
        theirs = {int(entry["epoch"]): entry for entry in self._record.epochs(last["parent"])}
        since = {epoch: found for epoch, found in own.items() if last["epoch"] < epoch <= end}
        return {**self._behind(last["parent"], theirs, last["epoch"]), **since}

    def _takeovers(self, members: Sequence[int], epoch: int) -> Iterator[dict[str, Any]]:
        space = self._record.space
        rng = random.Random(f"{space.study.sampler.seed} {epoch} {members}")
        found = takeovers(
            [self._standing(number) for number in members],
            share=self._plan.share,
            choose=rng.choice,
        )
        for number, parent in found.items():
            values = _values(space, self._recipe(parent).final)
            for _ in range(_TRIES):
                fresh = changed(values, space.leaves, rng)
                if fresh != values and _goes_together(space, fresh):
                    yield {"number": number, "parent": parent, "values": fresh}
                    break

    def _carry_out(self, generation: dict[str, Any]) -> None:
        from raylt.trial.checkpoints import checkpoint

        epoch: int = generation["epoch"]
        for found in generation["takeovers"]:
            number, parent = found["number"], found["parent"]
            folder = self._record.trial_folder
            checkpoint.adopt(folder(parent), folder(number), epoch=epoch)
            bucket.adopt(self._record, parent, number, epoch=epoch)
            values = dict(self._record.outcome(parent).recipe)
            change = {"epoch": epoch, "values": found["values"]}
            values["changes"] = [*values.get("changes", ()), change]
            self._record.take_over(
                number, recipes.parse(values), parent=parent, epoch=epoch, values=found["values"]
            )
        generation["carried_out"] = True
        self._record.note(_FACT, self._generations)

    def _standing(self, number: int) -> Standing:
        metric = self._record.space.study.watched
        sign = 1 if METRICS[metric] == "maximize" else -1
        outcome = self._record.outcome(number)
        return Standing(number, sign * outcome.last[metric], outcome.role == "baseline")

    def _recipe(self, number: int) -> Recipe:
        return recipes.parse(dict(self._record.outcome(number).recipe))

    def _epoch(self, number: int) -> int:
        return self._record.outcome(number).epoch


def _values(space: Space, recipe: Recipe) -> dict[str, Value]:
    flat = recipes.flat(recipe.model_dump())
    return {leaf.path: flat[leaf.path] for leaf in space.leaves}


def _goes_together(space: Space, values: Mapping[str, Value]) -> bool:
    try:
        space.at(values)
    except InputError:
        return False
    return True
