"""What each change brings, set back alone and taken over alone, as `raylt ablate` found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raylt.study.record.record import Record
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Bars, Chart, Line, Panel
from raylt.study.verdict import ablation

_NAME = ("ablation", "Which change matters")
_PANELS = (
    ("out", "lost when set back alone (points)", figure.BLUE),
    ("in", "gained when taken over alone (points)", figure.ORANGE),
    ("declared", "lost without this part (points)", figure.GREEN),
)


def charts(record: Record) -> tuple[Chart, ...]:
    """The effects and the greedy path; none for a study that was not ablated."""
    result = ablation.stored(record)
    return () if result is None else (_chart(result),)


def _chart(result: Mapping[str, Any]) -> Chart:
    panels = [
        _effects(effects, title, colour)
        for way, title, colour in _PANELS
        if (effects := [e for e in result["effects"] if e["subject"]["way"] == way])
    ]
    if steps := [step for step in result["path"] if step["score"] is not None]:
        panels.append(_path(steps))
    return Chart(
        key=_NAME[0],
        title=_NAME[1],
        caption=f"Trial {result['trial']} and the baseline in {result['metric']}, over "
        f"{len(result['seeds'])} seeds; the whiskers are 95 %. {result['sentence']}",
        body=tuple(panels),
    )


def _effects(effects: Sequence[Mapping[str, Any]], title: str, colour: str) -> Panel:
    verdicts = [effect["verdict"] for effect in effects if effect["verdict"]["mean"] is not None]
    names = tuple(
        effect["subject"]["name"] for effect in effects if effect["verdict"]["mean"] is not None
    )
    means = tuple(100 * verdict["mean"] for verdict in verdicts)
    bars = Bars(
        name="",
        x=tuple(range(len(means))),
        y=means,
        colour=colour,
        intervals=tuple(
            (mean, mean) if v["low"] is None else (100 * v["low"], 100 * v["high"])
            for mean, v in zip(means, verdicts, strict=True)
        ),
        hover=tuple(
            f"{name}: {mean:+.1f} points, {ablation.WORDS[v['word']]}"
            for name, mean, v in zip(names, means, verdicts, strict=True)
        ),
    )
    return Panel(x=Axis("", ticks=names), y=Axis(title), marks=(bars,))


def _path(steps: Sequence[Mapping[str, Any]]) -> Panel:
    names = tuple(step["name"] for step in steps)
    scores = tuple(100 * step["score"] for step in steps)
    x = tuple(range(len(steps)))
    line = Line(name="", x=x, y=scores, colour=figure.VERMILION, width=3, hover=names)
    return Panel(x=Axis("greedy path", ticks=names), y=Axis("after the step (%)"), marks=(line,))
