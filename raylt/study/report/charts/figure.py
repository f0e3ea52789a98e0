"""What a chart is, before anybody draws it: numbers, words, and how marks differ.

Every chart is drawn twice from the same description: by plotly to be touched, by matplotlib to be
printed. Marks differ in shape, fill or dash as well as in colour, and the colours are those of
Okabe and Ito, which people of every colour vision tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BLACK = "#000000"
GREY = "#8a8a8a"
PALE = "#c9c9c9"
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILION = "#d55e00"
PURPLE = "#cc79a7"

Symbol = Literal["circle", "hollow", "diamond", "star", "square"]
Dash = Literal["solid", "dash", "dot", "dashdot"]
Hatch = Literal["", "/", "x"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a panel."""

    title: str
    log: bool = False
    ticks: tuple[str, ...] = ()
    """Names of the places 0, 1, 2, ...; the axis is one of numbers where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Single marks."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    symbol: Symbol = "circle"
    told: tuple[str, ...] = ()
    """What is said of each point when it is pointed at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line through points; `steps` keeps each height until the next point."""

    name: str
    """Word of the legend; a line without one is not in it."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    dash: Dash = "solid"
    width: float = 2
    steps: bool = False
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Upright bars, or lying ones from the top down."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    colour: str
    hatch: Hatch = ""
    lying: bool = False
    """Whether `x` is the place from the top and `y` the length to the right."""
    ends: tuple[tuple[float, float], ...] = ()
    """The interval of each upright bar, drawn as a whisker."""
    touching: bool = False
    """Whether upright bars at whole numbers, one after another, leave no gaps: there are too many
    of them to stand apart."""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: str
    x: Axis
    y: Axis
    marks: tuple[Points | Line | Bars, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One upright axis of parallel coordinates, from 0 at its foot to 1 at its head."""

    title: str
    places: tuple[float, ...]
    """Where each trial crosses."""
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Every trial as a line over upright axes."""

    dimensions: tuple[Dimension, ...]
    shade: tuple[float, ...]
    """The value that colours each line."""
    shade_title: str
    strong: int | None
    """Which line is that of the best trial, drawn strongest where the program can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of shares as shades: row by row, from 0 to 1."""

    x: Axis
    y: Axis
    cells: tuple[tuple[float, ...], ...]
    told: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart and what it says."""

    key: str
    """Name of its file."""
    title: str
    caption: str
    """What is shown, and over what; where there is nothing to draw, why."""
    body: tuple[Panel, ...] | Parallel | Grid | None


def nothing(key: str, title: str, why: str) -> Chart:
    """The place of a chart that cannot be drawn, and why."""
    return Chart(key=key, title=title, caption=f"Nothing to draw: {why}.", body=None)
