"""Which point comes next: the sampler of a space, conditional leaves, repeated draws."""

from __future__ import annotations

import contextlib
import itertools
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from raylt import plugins
from raylt.recipe import Recipe
from raylt.schema import InputError, Value
from raylt.space import Point, Space
from raylt.space import leaf as leaves
from raylt.space.leaf import Leaf
from raylt.space.strategy import config_of
from raylt.study.record.distributions import distribution, from_optuna, only_value, parameter

SUGGESTIONS = 20
"""Draws from the sampler before plain random draws take over."""
RANDOM = 1000
"""Random draws before the space counts as exhausted."""
_LARGEST_GRID = 100_000


def sampler(
    space: Space, *, begun: int, prior: Sequence[FrozenTrial] = ()
) -> optuna.samplers.BaseSampler:
    """The sampler that a space names.

    Args:
        space: Names the sampler, its seed and how many trials it draws at random first.
        begun: Trials that the study has already; a resumed study goes on with fresh numbers
            instead of repeating those of its first run.
    """
    chosen = space.study.sampler
    seed = (chosen.seed + 1_000_003 * begun) % 2**32
    module = plugins.module("samplers", chosen.name)
    with warnings.catch_warnings():
        # `group` and `constant_liar` are marked experimental; the tests hold what we rely on.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        learned = {"prior": prior} if prior else {}
        return module.build(config_of(chosen, module.Config), seed=seed, **learned)


def draw(
    study: optuna.Study, trial: FrozenTrial, space: Space, *, taken: AbstractSet[str], seed: int
) -> tuple[Point, Recipe] | None:
    """A point that the space allows and that no trial has had, or None where none is left.

    Args:
        taken: Digests of the recipes that were run or are running.
        seed: For the plain random draws once the sampler insists on refused or known points.
    """
    if space.study.sampler.name == "grid":
        # All of its points were queued when the study began.
        return None
    rng = random.Random(seed)
    suggested = (suggest(study, trial, space) for _ in range(SUGGESTIONS))
    at_random = (dict(space.draw(rng)) for _ in range(RANDOM))
    for point in itertools.chain(suggested, at_random):
        # Values that are each in range may still not go together.
        with contextlib.suppress(InputError):
            if space.allows(point) and (recipe := space.at(point)).digest not in taken:
                return point, recipe
    return None


def suggest(study: optuna.Study, trial: FrozenTrial, space: Space) -> Point:
    """One draw of the sampler: active leaves only, those that others hang on first."""
    joint = study.sampler.infer_relative_search_space(study, trial)
    together = study.sampler.sample_relative(study, trial, joint)

    def choose(leaf: Leaf) -> Value:
        law, name = distribution(leaf), parameter(leaf)
        if law.single():
            return from_optuna(leaf, only_value(law))
        if name in together and joint[name] == law:
            return from_optuna(leaf, together[name])
        return from_optuna(leaf, study.sampler.sample_independent(study, trial, name, law))

    return leaves.assemble(space.leaves, space.known, choose)


def grid(space: Space) -> tuple[Point, ...]:
    """Every allowed combination of the leaves' values, in the order of the file.

    Raises:
        InputError: there are too many combinations.
    """
    points = tuple(itertools.islice(_combinations(space, {}), _LARGEST_GRID + 1))
    if len(points) > _LARGEST_GRID:
        raise InputError(
            f"a grid must have at most {_LARGEST_GRID} points, but this has more; "
            f"give the leaves larger steps, or choose sampler.name tpe"
        )
    return tuple(point for point in points if space.allows(point))


def _combinations(space: Space, point: Mapping[str, Value]) -> Iterator[Point]:
    fresh = [leaf for leaf in space.active(point) if leaf.path not in point]
    if not fresh:
        yield dict(point)
        return
    for value in _values(fresh[0]):
        yield from _combinations(space, {**point, fresh[0].path: value})


def _values(leaf: Leaf) -> Iterable[Value]:
    # Lazily: a grid that is too large is refused before all of its values are made.
    if leaf.choices is not None:
        return leaf.choices
    law = distribution(leaf)
    if law.single():
        return (from_optuna(leaf, only_value(law)),)
    if isinstance(law, IntDistribution):
        return range(law.low, law.high + 1, law.step)
    # The space has refused every other range for a grid.
    assert isinstance(law, FloatDistribution)
    low, step = law.low, law.step
    assert step is not None
    # 0.1 + 2 * 0.1 is meant to be 0.3.
    return (round(low + i * step, 12) for i in range(round((law.high - low) / step) + 1))
