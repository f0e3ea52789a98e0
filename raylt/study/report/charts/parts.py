"""What the charts of a search share: which trial gets which mark, and how numbers are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raylt.schema import Value
from raylt.space.leaf import Leaf
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import plain
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Line, Points


def trials(
    outcomes: Sequence[Outcome],
    best: Outcome | None,
    *,
    x: Callable[[Outcome], float],
    y: Callable[[Outcome], float],
) -> tuple[Points, ...]:
    """Marks of trials, by what became of them; the two that matter come last, on top."""
    winner = best.number if best else None
    kinds: dict[str, list[Outcome]] = {}
    for one in outcomes:
        kind = "finished" if one.state == "complete" else "stopped early"
        kind = "baseline" if one.role == "baseline" else kind
        kinds.setdefault(kind, []).append(one)
        if one.number == winner:
            kinds["best"] = [one]
    looks: tuple[tuple[str, str, figure.Symbol], ...] = (
        ("stopped early", figure.GREY, "hollow"),
        ("finished", figure.GREY, "circle"),
        ("baseline", figure.BLUE, "diamond"),
        ("best", figure.VERMILION, "star"),
    )
    return tuple(
        Points(
            name=name,
            colour=colour,
            symbol=symbol,
            x=tuple(map(x, kinds[name])),
            y=tuple(map(y, kinds[name])),
            told=tuple(map(told, kinds[name])),
        )
        for name, colour, symbol in looks
        if name in kinds
    )


def told(one: Outcome) -> str:
    """A trial in a few words: number, state and values."""
    words = [f"{path.rpartition('.')[2]} {plain(value)}" for path, value in one.point.items()]
    return ", ".join([f"trial {one.number} ({one.state}, epoch {one.epoch})", *words])


def floor(record: Record, *, metric: str, width: float) -> tuple[Line, ...]:
    """The level that raw pixels reach, by the better of the two classifiers, from 0 to `width`."""
    group = metric.removeprefix("val/").removeprefix("best/")
    known: Mapping[str, float] = record.facts["floor"]
    found = [value for key, value in known.items() if key.split("/", 2)[2] == group]
    if not found:
        return ()
    return (_level("floor of raw pixels", metric, max(found), width, figure.GREEN, "dot"),)


def baseline(record: Record, *, metric: str, width: float) -> tuple[Line, ...]:
    """The level that the baseline reached, from 0 to `width`."""
    one = record.baseline()
    if one is None or metric not in one.last:
        return ()
    return (_level("baseline", metric, one.last[metric], width, figure.BLUE, "dash"),)


def _level(
    name: str, metric: str, value: float, width: float, colour: str, dash: figure.Dash
) -> Line:
    height = shown(metric, value)
    label = f"{name} ({height:.1f})"
    return Line(name=label, x=(0.0, width), y=(height, height), colour=colour, dash=dash)


@dataclass(frozen=True, slots=True)
class Clock:
    """A unit of time."""

    word: str
    seconds: float


def clock(longest: float) -> Clock:
    """The unit in which so many seconds are read best."""
    return Clock("hours", 3600) if longest > 2 * 3600 else Clock("minutes", 60)


def title(metric: str) -> str:
    """A metric as the title of an axis."""
    name = metric.removeprefix("val/")
    return f"{name} (%)" if metric.startswith("val/") else name


def shown(metric: str, value: float) -> float:
    """A metric's value as it is drawn: accuracies are percentages."""
    return 100 * value if metric.startswith("val/") else value


def choices(leaf: Leaf) -> tuple[str, ...]:
    """The words of a leaf's choices; none for a range."""
    return tuple(map(plain, leaf.choices)) if leaf.choices is not None else ()


def place(leaf: Leaf, value: Value) -> float:
    """Where a leaf's value stands on its axis: the number itself, or the place of the choice."""
    if leaf.choices is None:
        assert isinstance(value, int | float)
        return float(value)
    # 1 is not true here, though Python takes them for equal.
    return float([(type(c), c) for c in leaf.choices].index((type(value), value)))
