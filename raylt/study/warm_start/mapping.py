"""A setting of one space in another one."""

from __future__ import annotations

from collections.abc import Mapping

from raylt.schema import Value
from raylt.space import Leaf, Point, Space, leaf


def mapped(space: Space, setting: Mapping[str, Value]) -> Point:
    """A setting of another space leaf by leaf; the new space need not admit the point."""
    baseline = {**space.known, **(space.baseline_point or {})}

    def choose(open_leaf: Leaf) -> Value:
        value = setting.get(open_leaf.path, baseline.get(open_leaf.path))
        whole = open_leaf.integer and isinstance(value, float) and value.is_integer()
        return int(value) if whole and isinstance(value, float) else value

    return leaf.assemble(space.leaves, space.known, choose)
