"""Leaf: one hyperparameter that a space leaves open."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    field_validator,
    model_validator,
)

from raylt.schema import Frozen, InputError, Value
from raylt.space import expressions
from raylt.space.expressions import Expression
from raylt.space.file import explain
from raylt.space.file.document import Document, Keys
from raylt.space.file.explain import dotted, shown

_FINEST = 10**9
"""Values that a range in steps may have: more are no steps."""


def _as_written(number: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """The number itself: a whole one stays whole."""
    check(number)
    return number


_AS_WRITTEN = WrapValidator(_as_written)


def _scalar(value: Any) -> Any:
    if isinstance(value, list | dict):
        raise ValueError(
            f"must be one number, word or truth value, but got {shown(value)}; write the value "
            f"alone"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be finite, but got {value}; give one that you would try")
    return value


Scalar = Annotated[
    Any,
    AfterValidator(_scalar),
    WithJsonSchema({"type": ["number", "string", "boolean", "null"]}),
]
"""The value of a leaf; the space checks whether its leaf admits it."""


def _condition(text: str) -> str:
    try:
        expressions.parse(text)
    except InputError as error:
        raise ValueError(str(error)) from None
    return text


Condition = Annotated[str, AfterValidator(_condition)]


class Range(Frozen):
    """A range of values to search."""

    low: Annotated[float, _AS_WRITTEN]
    """Smallest value, included."""
    high: Annotated[float, _AS_WRITTEN]
    """Largest value, included."""
    log: Literal[True, False, "complement"] = False
    """Whether the logarithm is drawn evenly, or that of 1 - the value."""
    step: Annotated[float, Field(gt=0), _AS_WRITTEN] | None = None
    """Distance between two values that may be drawn, counted from low."""
    when: Condition | None = None
    """Condition on other leaves, as method.prune > 0.5."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> Self:
        low, high = self.low, self.high
        if low > high:
            raise ValueError(f"low must be <= high, but got low {low} and high {high}; swap them")
        if not math.isfinite(float(high) - float(low)):
            raise ValueError(
                f"high must be near enough to low to count between them, but got {high}; lower it"
            )
        if self.log is True and low <= 0:
            raise ValueError(
                f"low must be > 0 on a log scale, but got {low}; raise it, or remove `log`"
            )
        if self.log == "complement" and not (low >= 0 and high < 1):
            raise ValueError(
                f"log must be true or false unless low and high are shares from 0.0 to less than "
                f"1, but got {low} and {high}; the logarithm of 1 - the value is drawn evenly"
            )
        return self

    @model_validator(mode="after")
    def _step_divides_it(self) -> Self:
        low, high, step = self.low, self.high, self.step
        if step is None or low >= high:
            return self
        if self.log is not False:
            raise ValueError(
                "step must be left out beside `log`; remove one of the two, or list `choices`"
            )
        if (high - low) / step >= _FINEST:
            raise ValueError(
                f"step must leave at most {_FINEST:,} values, but got {step}; leave it out"
            )
        if not is_whole((high - low) / step) or step > high - low:
            steps = max(1, math.floor((high - low) / step))
            raise ValueError(
                f"step must divide the range from low to high, but {step} does not divide {low} "
                f"to {high}; try high: {low + steps * step:g} or step: {(high - low) / steps:g}"
            )
        return self


class Choices(Frozen):
    """A list of values to search."""

    choices: tuple[Scalar, ...] = Field(strict=False, json_schema_extra={"minItems": 1})
    """The values that may be drawn."""
    when: Condition | None = None
    """Condition on other leaves, as method.prune > 0.5."""

    @model_validator(mode="before")
    @classmethod
    def _no_range_beside(cls, values: dict[str, Any]) -> dict[str, Any]:
        of_range = [key for key in values if key in Range.model_fields and key != "when"]
        if of_range:
            raise ValueError(
                f"{of_range[0]} must be left out beside `choices`; keep the choices or the range"
            )
        return values

    @field_validator("choices")
    @classmethod
    def _some_each_once(cls, values: tuple[Value, ...]) -> tuple[Value, ...]:
        if not values:
            raise ValueError("must be a list with at least one value, but got []; list some")
        for i, value in enumerate(values):
            if any(_same(value, other) for other in values[:i]):
                raise ValueError(f"must differ, but {shown(value)} is listed twice; remove one")
        return values


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
    path = dotted(keys[1:])
    if "choices" in document.at(keys):
        listed = explain.check(Choices, document, *keys)
        return Leaf(path, choices=listed.choices, when=_parsed(listed.when))
    range_ = explain.check(Range, document, *keys)
    low, high, step = range_.low, range_.high, range_.step
    if real or isinstance(low, float) or isinstance(high, float):
        low, high = float(low), float(high)
    elif isinstance(step, float):
        raise document.error(
            (*keys, "step"),
            f"must be a whole number, as the values are, but got {step}; take 1 or more",
        )
    return Leaf(
        path,
        low,
        high,
        log=range_.log is True,
        complement=range_.log == "complement",
        step=step if low < high else None,
        when=_parsed(range_.when),
    )


def _parsed(when: str | None) -> Expression | None:
    return None if when is None else expressions.parse(when)


def is_whole(quotient: float) -> bool:
    """Whether a quotient is a whole number but for the rounding of decimal fractions."""
    return abs(quotient - round(quotient)) <= 1e-6


def _same(a: Value, b: Value) -> bool:
    """Equality that tells `true` from 1; 1 and 1.0 are the same number."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b
