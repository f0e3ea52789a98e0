"""The changes from one point of a space to another, and the points on the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from raylt.schema import InputError, Value
from raylt.space import Leaf, Point, Space, leaf
from raylt.space.baseline import nearest
from raylt.study.record.text import plain, short

SEED = "seed"
"""The leaf that is no change: the runs have seeds of their own."""
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Leaves that differ between two points, and are set back or taken over together."""

    name: str
    """Such as `prune`, or `classifier + cosine_scale`."""
    paths: tuple[str, ...]
    words: str
    """From what to what, such as `prune 0.9 -> 0.5`."""
    reason: str = ""
    """Why several leaves go together, in words; "" for one."""


def changes(space: Space, before: Point, after: Point) -> tuple[Change, ...]:
    """What differs between two points of a space, in the order of its leaves.

    Leaves go together where one of them is there only because of the other's value (`when`), and
    where the space would refuse the point with one of them alone (`study.require`).
    """
    paths = [x.path for x in space.leaves if x.path != SEED and _differs(x.path, before, after)]
    groups = _Groups(paths)
    for open_leaf in space.leaves:
        one_sided = (open_leaf.path in before) != (open_leaf.path in after)
        if one_sided and open_leaf.when is not None:
            groups.join({open_leaf.path, *open_leaf.when.names}, "one depends on the other")
    while any(_joined_by_require(space, group, before, after, groups) for group in groups.all):
        pass
    return tuple(
        Change(
            name=" + ".join(short(group)),
            paths=group,
            words=", ".join(_words(path, before, after) for path in group),
            reason=groups.reason(group),
        )
        for group in groups.all
    )


def between(
    space: Space, before: Point, after: Point, taken: Collection[Change]
) -> tuple[Point, str]:
    """The point that has some changes taken over and the others as they were.

    Returns:
        The point, and why the space does not have it, "" where it does.
    """
    paths = [path for change in taken for path in change.paths]
    point = _hybrid(space, before, after, paths)
    try:
        space.at(point)
    except InputError as error:
        return point, str(error).splitlines()[0]
    return point, ""


class _Groups:
    """Leaves, joined to groups."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._order = paths
        self._group = {path: frozenset([path]) for path in paths}
        self._reasons: dict[str, str] = {}

    @property
    def all(self) -> list[tuple[str, ...]]:
        """The groups, and the leaves of each, in the order of the space."""
        ordered = [tuple(p for p in self._order if p in self._group[path]) for path in self._order]
        return list(dict.fromkeys(ordered))

    def reason(self, group: Sequence[str]) -> str:
        """Why a group is one."""
        return self._reasons[group[0]] if len(group) > 1 else ""

    def join(self, paths: Set[str], reason: str) -> bool:
        """Join the groups of those paths that differ; whether there were several."""
        own = {self._group[path] for path in paths if path in self._group}
        joined = frozenset[str]().union(*own)
        for path in joined if len(own) > 1 else ():
            self._group[path] = joined
            self._reasons[path] = reason
        return len(own) > 1


def _joined_by_require(
    space: Space, group: Sequence[str], before: Point, after: Point, groups: _Groups
) -> bool:
    """Join a group with others that a condition speaks of which refuses it alone."""
    others = [path for path in groups.all if path != group]
    rest = [path for other in others for path in other]
    for taken in (group, rest):
        values = {**space.known, **_hybrid(space, before, after, taken)}
        for condition in space.require:
            if condition.truth(values):
                continue
            reason = f"the space asks for `{condition.text}`"
            if groups.join({*condition.names, *group}, reason):
                return True
    return False


def _hybrid(space: Space, before: Point, after: Point, taken: Collection[str]) -> Point:
    def choose(open_leaf: Leaf) -> Value:
        path = open_leaf.path
        for point in (after, before) if path in taken else (before, after):
            if path in point:
                return point[path]
        # Neither point has it: only together do their values bring it in.
        return nearest(open_leaf, space.known.get(path))

    return leaf.assemble(space.leaves, space.known, choose)


def _differs(path: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> bool:
    return before.get(path, _ABSENT) != after.get(path, _ABSENT)


def _words(path: str, before: Point, after: Point) -> str:
    values = (plain(p[path]) if path in p else "none" for p in (before, after))
    return f"{path.rpartition('.')[2]} {' -> '.join(values)}"
