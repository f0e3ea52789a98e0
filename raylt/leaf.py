"""Leaf: one hyperparameter that a space leaves open."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raylt import expressions
from raylt.document import Document, Keys
from raylt.explain import dotted, shown
from raylt.expressions import Expression, Value
from raylt.plugins import did_you_mean
from raylt.schema import InputError

KEYS = ("low", "high", "log", "step", "choices", "when")
"""What the mapping of an open leaf is made of."""

# A step divides a range if the quotient is whole but for the rounding of decimal fractions.
_WHOLE = 1e-6


@dataclass(frozen=True, slots=True)
class Leaf:
    """An open leaf: a range with inclusive ends in real units, or a list of choices."""

    path: str
    """Dotted path in the recipe, such as `method.temperature`."""
    low: int | float | None
    high: int | float | None
    log: bool
    """Whether the logarithm is what is drawn evenly."""
    step: int | float | None
    """Distance of the values from each other, counted from `low`."""
    choices: tuple[Value, ...] | None
    when: Expression | None
    """Condition on other leaves; where it does not hold the leaf is absent."""

    @property
    def integer(self) -> bool:
        """Whether the leaf is a range of whole numbers."""
        return isinstance(self.low, int)

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
        assert self.low is not None
        assert self.high is not None
        whole = not self.integer or float(value).is_integer()
        on_grid = self.step is None or _is_whole((value - self.low) / self.step)
        return self.low <= value <= self.high and whole and on_grid

    def draw(self, rng: random.Random) -> Value:
        """A value drawn evenly, or evenly in the logarithm."""
        if self.choices is not None:
            return rng.choice(self.choices)
        low, high = self.low, self.high
        assert low is not None
        assert high is not None
        if self.step is not None:
            return min(high, low + self.step * rng.randrange(round((high - low) / self.step) + 1))
        if isinstance(low, int) and isinstance(high, int):
            if not self.log:
                return rng.randint(low, high)
            # A whole number stands for the half units around it, so that the ends are not rare.
            found = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return min(high, max(low, round(found)))
        if self.log:
            found = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            found = rng.uniform(low, high)
        return min(high, max(low, found))

    def __str__(self) -> str:
        if self.choices is not None:
            return "one of " + ", ".join(map(shown, self.choices))
        kind = "whole number " if self.integer else ""
        step = f" in steps of {self.step:g}" if self.step is not None else ""
        return f"{kind}{self.low:g} to {self.high:g}{' (log)' if self.log else ''}{step}"


def active(
    leaves: Sequence[Leaf], known: Mapping[str, Value], point: Mapping[str, Value]
) -> Iterator[Leaf]:
    """The active leaves, one at a time: the caller may fill `point` between two of them.

    A leaf that hangs on an absent one, or on one whose value is not yet known, is absent too.
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
    """A point: `choose` gives each active leaf its value, first those that others hang on."""
    point: dict[str, Value] = {}
    for open_leaf in active(leaves, known, point):
        point[open_leaf.path] = choose(open_leaf)
    return point


def is_open(found: Any) -> bool:
    """Whether a value of the document opens a leaf rather than being one."""
    return isinstance(found, dict) and not {"low", "high", "choices"}.isdisjoint(found)


def parse(document: Document, keys: Keys) -> Leaf:
    """The open leaf that stands at `keys`, the first of which is `recipe`.

    Raises:
        InputError: its mapping breaks a rule of the language.
    """
    found: dict[str, Any] = document.values
    for key in keys:
        found = found[key]  # type: ignore[reportArgumentType]
    path = dotted(keys[1:])
    for key in found:
        if key not in KEYS:
            raise document.error(
                (*keys, key), f"must be a key of an open leaf, but is unknown"
                f"{did_you_mean(key, KEYS)}; known: {', '.join(KEYS)}", name=f"{path}.{key}"
            )  # fmt: skip
    when = _when(document, keys, path, found)
    if "choices" in found:
        choices = _choices(document, keys, path, found)
        return Leaf(path, None, None, log=False, step=None, choices=choices, when=when)
    low, high = _bounds(document, keys, path, found)
    log = found.get("log", False)
    if not isinstance(log, bool):
        raise _error(document, keys, path, "log", f"must be true or false, but got {shown(log)}")
    if log and low <= 0:
        raise _error(
            document, keys, path, "low",
            f"must be > 0 on a log scale, but got {low}; raise it, or remove `log`",
        )  # fmt: skip
    step = (
        _step(document, keys, path, found, low, high) if "step" in found and low < high else None
    )
    return Leaf(path, low, high, log=log, step=step, choices=None, when=when)


def _error(document: Document, keys: Keys, path: str, key: str, message: str) -> InputError:
    return document.error((*keys, key), message, name=f"{path}.{key}")


def _when(document: Document, keys: Keys, path: str, found: dict[str, Any]) -> Expression | None:
    if "when" not in found:
        return None
    text = found["when"]
    if not isinstance(text, str):
        raise _error(
            document, keys, path, "when",
            f"must be a condition such as `method.prune > 0`, but got {shown(text)}",
        )  # fmt: skip
    try:
        return expressions.parse(text)
    except InputError as error:
        raise _error(document, keys, path, "when", str(error)) from None


def _choices(
    document: Document, keys: Keys, path: str, found: dict[str, Any]
) -> tuple[Value, ...]:
    if others := [key for key in found if key not in ("choices", "when")]:
        raise _error(
            document, keys, path, others[0],
            "must not stand beside `choices`; keep the choices or the range",
        )  # fmt: skip
    items = found["choices"]
    if not isinstance(items, list) or not items:
        raise _error(
            document, keys, path, "choices",
            f"must be a list with at least one value, but got {shown(items)}; "
            f"write it like `choices: [a, b]`",
        )  # fmt: skip
    for i, item in enumerate(items):
        if isinstance(item, list | dict):
            what = f"must be single numbers, words or truth values, but got {shown(item)}; name "
            raise _error(document, keys, path, "choices", what + "what differs and open that leaf")
        if isinstance(item, float) and not math.isfinite(item):
            raise _error(
                document, keys, path, "choices",
                f"must be finite, but got {item}; remove it",
            )  # fmt: skip
        if any(_same(item, other) for other in items[:i]):
            raise _error(
                document, keys, path, "choices",
                f"must differ, but {shown(item)} stands twice; remove one",
            )  # fmt: skip
    return tuple(items)


def _bounds(
    document: Document, keys: Keys, path: str, found: dict[str, Any]
) -> tuple[int | float, int | float]:
    for key in ("low", "high"):
        if key not in found:
            raise document.error(
                keys, f"must have both low and high, but {key} is missing; add it", name=path
            )
        bound = found[key]
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise _error(
                document, keys, path, key, f"must be a number, but got {shown(bound)}; write it "
                f"in digits, without quotes",
            )  # fmt: skip
        if isinstance(bound, float) and not math.isfinite(bound):
            raise _error(
                document, keys, path, key, f"must be a finite number, but got {bound}; "
                f"give the range that you would try by hand",
            )  # fmt: skip
    low, high = found["low"], found["high"]
    if low > high:
        raise _error(
            document, keys, path, "low",
            f"must be <= high, but got low {low} and high {high}; swap them",
        )  # fmt: skip
    if isinstance(low, int) and isinstance(high, int):
        return low, high
    return float(low), float(high)


def _step(
    document: Document, keys: Keys, path: str, found: dict[str, Any],
    low: int | float, high: int | float,
) -> int | float:  # fmt: skip
    step = found["step"]
    number = isinstance(step, int | float) and not isinstance(step, bool) and math.isfinite(step)
    if not number or step <= 0:
        raise _error(
            document, keys, path, "step",
            f"must be a number > 0, but got {shown(step)}; leave it out for a continuous range",
        )  # fmt: skip
    if found.get("log") is True:
        raise _error(
            document, keys, path, "step",
            "must not stand beside `log: true`; remove one of them, or list `choices`",
        )  # fmt: skip
    if isinstance(low, int) and not isinstance(step, int):
        raise _error(
            document, keys, path, "step", f"must be a whole number where low and high are, but "
            f"got {step}; write low and high with a decimal point for real numbers",
        )  # fmt: skip
    if not _is_whole((high - low) / step) or step > high - low:
        steps = max(1, math.floor((high - low) / step))
        raise _error(
            document, keys, path, "step",
            f"must divide the range from low to high, but {step} does not divide {low} to {high}; "
            f"try high: {low + steps * step:g} or step: {(high - low) / steps:g}",
        )  # fmt: skip
    return step


def _is_whole(quotient: float) -> bool:
    return abs(quotient - round(quotient)) <= _WHOLE


def _same(a: Value, b: Value) -> bool:
    """Equality that tells `true` from 1; 1 and 1.0 are the same number."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b
