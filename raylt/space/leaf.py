"""Leaf: one hyperparameter that a space leaves open."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylt.plugins import did_you_mean
from raylt.schema import InputError, Value
from raylt.space import expressions
from raylt.space.expressions import Expression
from raylt.space.file.document import Document, Keys
from raylt.space.file.explain import dotted, shown

COMPLEMENT = "complement"
"""Word for a scale that is even in the logarithm of one minus the value."""
_FINEST = 10**9
"""Values that a range in steps may have: more are no steps."""
KEYS = ("low", "high", "log", "step", "choices", "when")
"""The keys that an open leaf may have."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An open leaf: a range with inclusive ends in real units, or a list of choices."""

    path: str
    """Dotted path in the recipe, such as `method.temperature`."""
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    """Whether the logarithm is drawn evenly."""
    complement: bool = False
    """Whether the logarithm of one minus the value is drawn evenly, as for a share near 1."""
    step: int | float | None = None
    """Distance of the values from each other, counted from `low`."""
    choices: tuple[Value, ...] | None = None
    when: Expression | None = None
    """Condition on other leaves; where it does not hold the leaf is absent."""

    @property
    def keys(self) -> Keys:
        """Where the leaf stands in a space file."""
        return ("recipe", *self.path.split("."))

    @property
    def integer(self) -> bool:
        """Whether the leaf is a range of whole numbers."""
        return isinstance(self.low, int)

    @property
    def bounds(self) -> tuple[int | float, int | float]:
        """The smallest and the largest value of a range."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values at which a rule can break: both ends, or every choice."""
        return (self.low, self.high) if self.choices is None else self.choices

    def admits(self, value: Value) -> bool:
        """Whether the leaf can take that value."""
        if self.choices is not None:
            return any(_same(value, choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.bounds
        whole = not self.integer or float(value).is_integer()
        on_grid = self.step is None or is_whole((value - low) / self.step)
        return low <= value <= high and whole and on_grid

    def draw(self, rng: random.Random) -> Value:
        """A value drawn evenly, or evenly in the logarithm."""
        if self.choices is not None:
            return rng.choice(self.choices)
        low, high = self.bounds
        if self.step is not None:
            return min(high, low + self.step * rng.randrange(round((high - low) / self.step) + 1))
        if isinstance(low, int) and isinstance(high, int):
            if not self.log:
                return rng.randint(low, high)
            # A whole number stands for the half units around it, so that the ends are not rare.
            value = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(high, max(low, round(value)))
        if self.log:
            value = math.exp(rng.uniform(math.log(low), math.log(high)))
        elif self.complement:
            value = 1 - math.exp(rng.uniform(math.log(1 - high), math.log(1 - low)))
        else:
            value = rng.uniform(low, high)
        return min(high, max(low, value))

    def __str__(self) -> str:
        if self.choices is not None:
            return "one of " + ", ".join(map(shown, self.choices))
        kind = "whole number " if self.integer else ""
        step = f" in steps of {self.step:g}" if self.step is not None else ""
        scale = " (log)" if self.log else " (log of 1 - it)" if self.complement else ""
        return f"{kind}{self.low:g} to {self.high:g}{scale}{step}"


def active(
    leaves: Sequence[Leaf], known: Mapping[str, Value], point: Mapping[str, Value]
) -> Iterator[Leaf]:
    """The active leaves, one at a time: the caller may fill `point` between two of them.

    A leaf that depends on an absent one, or on one whose value is not yet known, is absent too.
    """
    absent: set[str] = set()
    for open_leaf in leaves:
        when = open_leaf.when
        if when is None or (when.names.isdisjoint(absent) and when.truth({**known, **point})):
            yield open_leaf
        if open_leaf.path not in point:
            absent.add(open_leaf.path)


def assemble(
    leaves: Sequence[Leaf], known: Mapping[str, Value], choose: Callable[[Leaf], Value]
) -> dict[str, Value]:
    """A point: `choose` gives each active leaf its value, first those that others depend on."""
    point: dict[str, Value] = {}
    for open_leaf in active(leaves, known, point):
        point[open_leaf.path] = choose(open_leaf)
    return point


def is_open(value: Any) -> bool:
    """Whether a value of the document is an open leaf."""
    return isinstance(value, dict) and not {"low", "high", "choices"}.isdisjoint(value)


def parse(document: Document, keys: Keys, *, real: bool) -> Leaf:
    """The open leaf that stands at `keys`, the first of which is `recipe`; a `real` range draws
    real numbers, though its ends may be whole.

    Raises:
        InputError: its mapping breaks a rule of the language.
    """
    return _Opening(document, keys, real=real).leaf()


class _Opening:
    """The mapping that opens a leaf."""

    def __init__(self, document: Document, keys: Keys, *, real: bool) -> None:
        self.document = document
        self.real = real
        self.keys = keys
        self.path = dotted(keys[1:])
        self.mapping: dict[str, Any] = document.at(keys)

    def leaf(self) -> Leaf:
        for key in self.mapping:
            if key not in KEYS:
                raise self._error(
                    key,
                    f"must be a key of an open leaf, but is unknown{did_you_mean(key, KEYS)}; "
                    f"known: {', '.join(KEYS)}",
                )
        when = self._when()
        if "choices" in self.mapping:
            return Leaf(self.path, choices=self._choices(), when=when)
        low, high = self._bounds()
        scale = self._scale(low, high)
        step = self._step(low, high) if "step" in self.mapping and low < high else None
        return Leaf(
            self.path,
            low,
            high,
            log=scale is True,
            complement=scale == COMPLEMENT,
            step=step,
            when=when,
        )

    def _error(self, key: str, message: str) -> InputError:
        return self.document.error((*self.keys, key), message)

    def _when(self) -> Expression | None:
        if "when" not in self.mapping:
            return None
        text = self.mapping["when"]
        if not isinstance(text, str):
            raise self._error(
                "when", f"must be a condition such as `method.prune > 0`, but got {shown(text)}"
            )
        try:
            return expressions.parse(text)
        except InputError as error:
            raise self._error("when", str(error)) from None

    def _choices(self) -> tuple[Value, ...]:
        if others := [key for key in self.mapping if key not in ("choices", "when")]:
            raise self._error(
                others[0], "must be left out beside `choices`; keep the choices or the range"
            )
        items: Any = self.mapping["choices"]
        if not isinstance(items, list) or not items:
            raise self._error(
                "choices",
                f"must be a list with at least one value, but got {shown(items)}; write it like "
                f"`choices: [a, b]`",
            )
        for i, item in enumerate(items):
            if isinstance(item, list | dict):
                raise self._error(
                    "choices",
                    f"must be single numbers, words or truth values, but got {shown(item)}; open "
                    f"the leaves that differ in it",
                )
            if isinstance(item, float) and not math.isfinite(item):
                raise self._error("choices", f"must be finite, but got {item}; remove it")
            if any(_same(item, other) for other in items[:i]):
                raise self._error(
                    "choices", f"must differ, but {shown(item)} is listed twice; remove one"
                )
        return tuple(items)

    def _bounds(self) -> tuple[int | float, int | float]:
        for key in ("low", "high"):
            if key not in self.mapping:
                raise self.document.error(
                    self.keys, f"must have both low and high, but {key} is missing; add it"
                )
            bound = self.mapping[key]
            if not _is_number(bound):
                raise self._error(
                    key, f"must be a number, but got {shown(bound)}; write it without quotes"
                )
            if isinstance(bound, float) and not math.isfinite(bound):
                raise self._error(
                    key, f"must be a finite number, but got {bound}; give one that you would try"
                )
        low, high = self.mapping["low"], self.mapping["high"]
        if low > high:
            raise self._error(
                "low", f"must be <= high, but got low {low} and high {high}; swap them"
            )
        if not math.isfinite(float(high) - float(low)):
            raise self._error(
                "high",
                f"must be near enough to low to count between them, but got {high}; lower it",
            )
        if isinstance(low, int) and isinstance(high, int) and not self.real:
            return low, high
        return float(low), float(high)

    def _scale(self, low: int | float, high: int | float) -> bool | str:
        scale = self.mapping.get("log", False)
        if not isinstance(scale, bool) and scale != COMPLEMENT:
            raise self._error(
                "log", f"must be true, false or {COMPLEMENT}, but got {shown(scale)}"
            )
        if scale is True and low <= 0:
            raise self._error(
                "low", f"must be > 0 on a log scale, but got {low}; raise it, or remove `log`"
            )
        if scale == COMPLEMENT and not (isinstance(high, float) and low >= 0 and high < 1):
            raise self._error(
                "log",
                f"must be true or false unless low and high are shares from 0.0 to less than 1, "
                f"but got {low} and {high}; the logarithm of 1 - the value is drawn evenly",
            )
        return scale

    def _step(self, low: int | float, high: int | float) -> int | float:
        step: Any = self.mapping["step"]
        if not _is_number(step) or not math.isfinite(step) or step <= 0:
            raise self._error(
                "step", f"must be a number > 0, but got {shown(step)}; leave it out for any value"
            )
        if self.mapping.get("log", False) is not False:
            raise self._error(
                "step", "must be left out beside `log`; remove one of the two, or list `choices`"
            )
        if isinstance(low, int) and not isinstance(step, int):
            raise self._error(
                "step",
                f"must be a whole number, as the values are, but got {step}; take 1 or more",
            )
        if (high - low) / step >= _FINEST:
            raise self._error(
                "step", f"must leave at most {_FINEST:,} values, but got {step}; leave it out"
            )
        if not is_whole((high - low) / step) or step > high - low:
            steps = max(1, math.floor((high - low) / step))
            raise self._error(
                "step",
                f"must divide the range from low to high, but {step} does not divide {low} to "
                f"{high}; try high: {low + steps * step:g} or step: {(high - low) / steps:g}",
            )
        return step


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(quotient: float) -> bool:
    """Whether a quotient is a whole number but for the rounding of decimal fractions."""
    return abs(quotient - round(quotient)) <= 1e-6


def _same(a: Value, b: Value) -> bool:
    """Equality that tells `true` from 1; 1 and 1.0 are the same number."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b
