"""Two methods that got the same budget, in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raylt.schema import InputError
from raylt.study.record.record import Record
from raylt.study.report import versus
from raylt.study.report.charts import figure, parts
from raylt.study.report.charts.figure import Axis, Chart, Dash, Line, Panel, Points, Symbol

_LOOKS: tuple[tuple[str, Dash, Symbol], ...] = (
    (figure.VERMILION, "solid", "circle"),
    (figure.BLUE, "dash", "square"),
)


def charts(record: Record) -> tuple[Chart, ...]:
    """The best so far of a study and its rival over what both cost; none without a rival."""
    pair = versus.partner(record)
    if pair is None:
        return ()
    key, title = "versus", "Two methods at equal cost"
    try:
        found = versus.comparison(*pair)
    except InputError as error:
        return (figure.nothing(key, title, str(error)),)
    finally:
        for each in pair:
            if each is not record:
                each.close()
    drawn = [each for each in found["studies"] if each["best"] is not None]
    if len(drawn) < 2:
        return (figure.nothing(key, title, "a method has no finished trial yet"),)
    return (_chart(key, title, found),)


def _chart(key: str, title: str, found: Mapping[str, Any]) -> Chart:
    metric = found["metric"]
    clock = parts.clock(max(each["curve"][-1]["seconds"] for each in found["studies"]))
    marks: list[Line | Points] = []
    for each, (colour, dash, symbol) in zip(found["studies"], _LOOKS, strict=True):
        known = [at for at in each["curve"] if at["best"] is not None]
        x = tuple(at["seconds"] / clock.seconds for at in known)
        y = tuple(parts.shown(metric, at["best"]) for at in known)
        told = tuple(f"{each['study']}, trial {at['trial']}" for at in known)
        name = f"{each['method']}, best so far"
        marks += [
            Line(name=name, x=x, y=y, colour=colour, dash=dash, width=3, steps=True, told=told),
            Points(
                name=f"{each['method']}, a trial ended",
                x=x,
                y=y,
                colour=colour,
                symbol=symbol,
                told=told,
            ),
        ]
    heights = [height for mark in marks for height in mark.y]
    at = found["cost"] / clock.seconds
    marks.append(
        Line(
            name="what both have cost",
            x=(at, at),
            y=(min(heights), max(heights)),
            colour=figure.BLACK,
            dash="dot",
        )
    )
    told = ", ".join(_told(each, metric) for each in found["studies"])
    return Chart(
        key=key,
        title=title,
        caption=f"At the cost that both have spent: {told}. The same space, rungs and budget; one "
        f"seed each, on validation images. Time is that of all trials added up.",
        body=(
            Panel(
                title="",
                x=Axis(f"{clock.word} of all trials"),
                y=Axis(f"best {parts.title(metric)}"),
                marks=tuple(marks),
            ),
        ),
    )


def _told(each: Mapping[str, Any], metric: str) -> str:
    value = each["best_at_cost"]
    shown = "nothing yet" if value is None else f"{parts.shown(metric, value):.1f}"
    return f"{each['method']} {shown}"
