"""Points: what a space admits, and the recipe that stands at each of its points."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from raylt import escape, recipe
from raylt.plugins import did_you_mean
from raylt.recipe import Recipe
from raylt.schema import InputError, Value
from raylt.space import leaf
from raylt.space.expressions import Expression
from raylt.space.file import explain
from raylt.space.file.explain import dotted, shown
from raylt.space.leaf import Leaf
from raylt.space.plan import Study

Point = dict[str, Value]
"""A value for each active leaf, by its dotted path."""

DRAWS = 1000
"""Draws before a search for an admitted point gives up."""


@dataclass(frozen=True, slots=True)
class Source:
    """An entry of `study.warm_start`."""

    name: str
    """A study, or a file or folder as the space names it."""
    place: str
    """File, line and key, for messages."""
    file: Path | None
    """The file, or the folder of a study; None for a study of the folder of runs."""


@dataclass(frozen=True, slots=True)
class Space:
    """What a search may try; made by `load`, which has checked every rule."""

    source: str
    """The file, as the user named it."""
    text: str
    """The resolved space as YAML; loading it gives an equal space."""
    digest: str
    """Sixteen hexadecimal digits over all that decides what a trial's result means."""
    study: Study
    fixed: Mapping[str, Any]
    """The recipe's closed leaves, nested as in the file."""
    leaves: tuple[Leaf, ...]
    """The open leaves, each after those that its `when` mentions."""
    require: tuple[Expression, ...]
    """Conditions on a point."""
    known: Mapping[str, Value] = field(repr=False)
    """Dotted path -> value of every leaf that is closed or has a default."""
    modules: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The modules beside the file that it names, by their paths from its folder; they go where the
    study goes."""
    infeasible: float = 0.0
    """Share of a thousand draws that `require` refuses."""
    baseline_point: Point | None = None
    """The published setting; None where nothing is open and the file names none, or the one run is
    another setting."""
    points: tuple[Point, ...] = ()
    """More settings to try early."""
    sources: tuple[Source, ...] = ()
    """Where further settings to try early come from; none where no leaf is open."""
    warnings: tuple[str, ...] = ()
    """What the user should know and need not change."""

    def _repr_html_(self) -> str:
        """The space in a notebook: what is open, over which range, and the baseline's values."""
        heads, *rows = self.table
        goals = ", ".join(f"{goal.better} {goal.metric}" for goal in self.study.objective)
        caption = f"{self.study.name}: {self.study.trials} trials, {goals}"
        return escape.html_table(caption, heads, rows)

    @property
    def table(self) -> list[tuple[str, ...]]:
        """What is open, over which range, and the baseline's values, below a row of heads."""
        baseline = self.baseline_point or {}
        rows = [
            (
                open_leaf.path,
                str(open_leaf),
                value_at(baseline, open_leaf),
                open_leaf.when.text if open_leaf.when else "",
            )
            for open_leaf in self.leaves
        ]
        return [("open leaf", "range", "baseline", "only where"), *rows]

    @property
    def longest(self) -> int:
        """Epochs of the longest trial."""
        known = (self.known.get("epochs"),)
        ends = next(
            (open_leaf.ends for open_leaf in self.leaves if open_leaf.path == "epochs"), known
        )
        return max(value for value in ends if isinstance(value, int))

    def active(self, point: Mapping[str, Value]) -> tuple[Leaf, ...]:
        """The leaves whose `when` is known to hold at a point, which may still be incomplete."""
        return tuple(leaf.active(self.leaves, self.known, point))

    def allows(self, point: Mapping[str, Value]) -> bool:
        """Whether `require` admits the point; an absent leaf counts with its default."""
        values = {**self.known, **point}
        return all(condition.truth(values) for condition in self.require)

    def refusal(self, point: Mapping[str, Value]) -> tuple[str, str] | None:
        """The leaf and the reason why a point is not one of this space, or None where it is.

        The leaf is "" where it is the point as a whole that is refused.
        """
        paths = [open_leaf.path for open_leaf in self.leaves]
        active = {open_leaf.path: open_leaf for open_leaf in self.active(point)}
        for path, value in point.items():
            if path not in paths:
                known = ", ".join(paths) or "none"
                return path, f"must be an open leaf{did_you_mean(path, paths)}; open: {known}"
            if path not in active:
                return path, "must be left out where its `when` does not hold"
            if not active[path].admits(value):
                return path, f"must be {active[path]}, but got {shown(value)}"
        for path in active:
            if path not in point:
                return path, "must be given, but is missing"
        values = {**self.known, **point}
        for condition in self.require:
            if not condition.truth(values):
                return "", f"must satisfy study.require, but `{condition.text}` is false"
        return None

    def at(self, point: Mapping[str, Value]) -> Recipe:
        """The recipe at a point; absent leaves keep the recipe's defaults.

        Raises:
            InputError: the point is not one of this space, or its values do not go together.
        """
        if (refused := self.refusal(point)) is not None:
            raise InputError(f"{self.source}: {refused[0] or 'the point'}: {refused[1]}")
        values = recipe.filled(self.fixed, point)
        try:
            return recipe.parse(values)
        except ValidationError as error:
            sentences = explain.sentences(error, recipe.model_of(values))
            lines = [f"{self.source}: {dotted(loc)}: {text}" for loc, text in sentences]
            raise InputError("\n".join(lines)) from None

    def draw(self, rng: random.Random) -> Point:
        """A point that `require` admits, every active leaf drawn by itself.

        Raises:
            InputError: none of a thousand draws is admitted.
        """
        for _ in range(DRAWS):
            point = self.draw_any(rng)
            if self.allows(point):
                return point
        raise InputError(
            f"{self.source}: study.require: must allow some points, but refuses all of {DRAWS} "
            f"draws; loosen it or narrow the leaves"
        )

    def draw_any(self, rng: random.Random) -> Point:
        """A point that `require` may refuse."""
        return leaf.assemble(self.leaves, self.known, lambda open_leaf: open_leaf.draw(rng))


def value_at(point: Mapping[str, Value], open_leaf: Leaf) -> str:
    """The value of a leaf at a point, in four digits; a dash where it is absent."""
    if open_leaf.path not in point:
        return "-"
    value = point[open_leaf.path]
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
