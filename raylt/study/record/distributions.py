"""Open leaves as Optuna keeps them: their distributions, names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from raylt.schema import Value
from raylt.space import Space
from raylt.space.leaf import Leaf


def distribution(leaf: Leaf) -> BaseDistribution:
    """The Optuna distribution of an open leaf."""
    if leaf.choices is not None:
        return CategoricalDistribution(leaf.choices)
    low, high = leaf.ends
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if leaf.integer:
        return IntDistribution(int(low), int(high), log=leaf.log, step=int(leaf.step or 1))
    if leaf.complement:
        return FloatDistribution(1 - high, 1 - low, log=True)
    return FloatDistribution(low, high, log=leaf.log, step=leaf.step)


def parameter(leaf: Leaf) -> str:
    """The name of a leaf in Optuna, which knows no scale that is even towards 1."""
    return f"1 - {leaf.path}" if leaf.complement else leaf.path


def to_optuna(leaf: Leaf, value: Value) -> Value:
    """The value that Optuna keeps for a leaf's value."""
    return 1 - value if leaf.complement and isinstance(value, int | float) else value


def from_optuna(leaf: Leaf, value: Value) -> Value:
    """The leaf's value for the one that Optuna keeps."""
    if not leaf.complement:
        return value
    assert isinstance(value, float)
    low, high = leaf.bounds
    # 1 - (1 - x) may miss x by the last digit.
    return min(high, max(low, 1 - value))


def parameters(
    space: Space, point: Mapping[str, Value]
) -> dict[str, tuple[BaseDistribution, Value]]:
    """Optuna's name of each leaf that a point sets, its distribution and the value it keeps."""
    return {
        parameter(leaf): (distribution(leaf), to_optuna(leaf, point[leaf.path]))
        for leaf in space.leaves
        if leaf.path in point
    }


def only_value(law: Any) -> Value:
    """The value of a distribution that has one."""
    return law.choices[0] if isinstance(law, CategoricalDistribution) else law.low
