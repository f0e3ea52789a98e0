"""What a chart is, before anybody draws it: numbers, words, and how marks differ.

Every chart is drawn twice from the same description: by plotly for the screen, by matplotlib for
print. Marks differ in shape, fill or dash as well as in colour, and the colours are those of
Okabe and Ito, which people of every colour vision tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BLACK = "#000000"
GREY = "#8a8a8a"
PALE = "#c9c9c9"
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILION = "#d55e00"
STRENGTH = (GREY, ORANGE, VERMILION)
"""The colours of a weak, a middling and a strong trial, seen on white and in the dark."""

_STEPS = 5
"""Ticks of an axis, about."""
_DECADE = 10
_DENSE = 4
"""Powers of ten up to which their doubles and fives have a tick, too."""
_ROUNDING = 1e-9

Symbol = Literal["circle", "hollow", "diamond", "star", "square"]
Dash = Literal["solid", "dash", "dot", "dashdot"]
Hatch = Literal["", "/", "x"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a panel."""

    title: str
    log: bool = False
    ticks: tuple[str, ...] = ()
    """Names of the places 0, 1, 2, ..., on an upright axis from the top down; empty for an axis of
    numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Single marks."""

    name: str
    """Its name in the legend; empty for marks that are not in it."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    symbol: Symbol = "circle"
    hover: tuple[str, ...] = ()
    """The text that appears over each point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points; `steps` keeps each height until the next point."""

    name: str
    """Its name in the legend; a line with an empty name is left out of the legend."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    dash: Dash = "solid"
    width: float = 2
    steps: bool = False
    hover: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Vertical bars, or horizontal ones from the top down."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    hatch: Hatch = ""
    horizontal: bool = False
    """Whether `x` is the place from the top and `y` the length to the right."""
    intervals: tuple[tuple[float, float], ...] = ()
    """The low and high end of each bar's whisker."""
    touching: bool = False
    """Whether vertical bars at consecutive whole numbers leave no gaps: there are too many of
    them to stand apart."""
    hover: tuple[str, ...] = ()


Mark = Points | Line | Bars


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One vertical axis of parallel coordinates, from 0 at its foot to 1 at its head."""

    title: str
    places: tuple[float, ...]
    """Where each trial crosses."""
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Every trial as a line over vertical axes."""

    dimensions: tuple[Dimension, ...]
    shade: tuple[float, ...]
    """The value that colours each line."""
    shade_title: str
    strong: int | None
    """Which line is that of the best trial; matplotlib draws it thicker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of shares as shades: row by row, from 0 to 1."""

    x: Axis
    y: Axis
    cells: tuple[tuple[float, ...], ...]
    hover: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart and what it says."""

    key: str
    """Name of its file."""
    title: str
    caption: str
    """What is shown, and over what; or why nothing is drawn."""
    body: tuple[Panel, ...] | Parallel | Grid | None


def plot(key: str, title: str, caption: str, *, x: Axis, y: Axis, marks: Iterable[Mark]) -> Chart:
    """A chart of one pair of axes."""
    return Chart(key, title, caption, (Panel(x=x, y=y, marks=tuple(marks)),))


def nothing(key: str, title: str, reason: str) -> Chart:
    """A chart that cannot be drawn, and the reason."""
    return Chart(key, title, f"Nothing to draw: {reason}.", None)


def round_ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Round numbers from `low` to `high`: 1, 2 and 5 times a power of ten on a log scale that
    spans more than one, else steps of such a size."""
    if log and high / low > _DECADE:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1, 2, 5) if len(powers) <= _DENSE else (1,)
        values = [float(f"{step}e{power}") for power in powers for step in steps]
        return [value for value in values if low <= value <= high]
    if low == high:
        return [low]
    raw = (high - low) / _STEPS
    power = math.floor(math.log10(raw))
    step = next(s for s in (1, 2, 5, 10) if s * 10.0**power >= raw) * 10.0**power
    first, last = math.ceil(low / step - _ROUNDING), math.floor(high / step + _ROUNDING)
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)]
