"""Charts by plotly, for the screen: as the plain data that plotly.js draws."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from raylt.study.report.charts.figure import (
    STRENGTH,
    Axis,
    Bars,
    Chart,
    Grid,
    Line,
    Mark,
    Panel,
    Parallel,
    Points,
    round_ticks,
)

_COLUMNS = 3
"""Panels in a row."""
_LETTERS = 110
"""Letters that fit beside each other over the axes of parallel coordinates on a page."""
_SYMBOLS = {
    "circle": ("circle", 8),
    "hollow": ("circle-open", 8),
    "diamond": ("diamond", 12),
    "star": ("star", 15),
    "square": ("square", 8),
}
"""Symbols of plotly and their sizes."""
_ROW = 25
"""Pixels that a named place on the axis to the left needs."""
_LAYOUT = {
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222222"},
    "paper_bgcolor": "#ffffff",
    "plot_bgcolor": "#ffffff",
    "hovermode": "closest",
    "barmode": "overlay",
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
}

Drawing = tuple[list[Any], dict[str, Any]]
"""The `data` and `layout` of plotly.js."""


def drawing(chart: Chart, *, letters: int = _LETTERS) -> dict[str, Any]:
    """`data` and `layout` of a chart with something to draw, as plotly.js takes them.

    Args:
        chart: The chart.
        letters: That fit beside each other over the axes of parallel coordinates.
    """
    assert chart.body is not None
    if isinstance(chart.body, Parallel):
        data, layout = _parallel(chart.body, letters)
    elif isinstance(chart.body, Grid):
        data, layout = _grid(chart.body)
    else:
        data, layout = _panels(chart.body)
    return {"data": data, "layout": {**_LAYOUT, **layout}}


def script(value: Any) -> str:
    """A value as JSON that may stand inside a script of an HTML page."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _panels(panels: tuple[Panel, ...]) -> Drawing:
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    grid = {"rows": rows, "columns": columns, "pattern": "independent", "xgap": 0.2, "ygap": 0.32}
    named_places = max(len(panel.y.ticks) for panel in panels)
    layout: dict[str, Any] = {
        "height": max(452, _ROW * named_places + 128) if rows == 1 else 300 * rows + 82,
        "margin": {"l": 62, "r": 20, "t": 72, "b": 56},
        "grid": grid,
    }
    data: list[Any] = []
    named: set[str] = set()
    for i, panel in enumerate(panels):
        suffix = "" if i == 0 else str(i + 1)
        # Bars to the right begin at 0, and their places have names.
        marks = [m for m in panel.marks if not (isinstance(m, Bars) and m.horizontal)]
        layout[f"xaxis{suffix}"] = _axis(panel.x, [x for mark in marks for x in mark.x])
        layout[f"yaxis{suffix}"] = _axis(panel.y, [y for mark in marks for y in mark.y])
        if panel.y.ticks:
            layout[f"yaxis{suffix}"] |= {"autorange": "reversed", "automargin": True}
        for mark in panel.marks:
            in_legend = bool(mark.name) and mark.name not in named
            named.add(mark.name)
            place = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
            legend = {"legendgroup": mark.name, "showlegend": in_legend}
            data.append({**_trace(mark), **place, **legend})
    return data, layout


def _axis(axis: Axis, values: Sequence[float] = ()) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "title": {"text": axis.title},
        "showline": True,
        "linecolor": "#444444",
        "ticks": "outside",
        "gridcolor": "#d8d8d8",
        "zeroline": False,
    }
    if axis.log and values:
        # plotly would write 0.05 as 5.
        ticks = round_ticks(min(values), max(values), log=True)
        settings |= {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
    elif len(set(values)) == 1:
        # plotly would go on to 101 per cent.
        settings["tickvals"] = [values[0]]
    if axis.ticks:
        settings |= {
            "tickvals": list(range(len(axis.ticks))),
            "ticktext": list(axis.ticks),
            "range": [-0.6, len(axis.ticks) - 0.4],
        }
    return settings


def _trace(mark: Mark) -> dict[str, Any]:
    trace: dict[str, Any] = {"name": mark.name, "x": list(mark.x), "y": list(mark.y)}
    if mark.hover:
        trace |= {"text": list(mark.hover), "hovertemplate": "%{text}<br>%{y:.4g}<extra></extra>"}
    match mark:
        case Points():
            symbol, size = _SYMBOLS[mark.symbol]
            edge = {"width": 1.5, "color": mark.colour}
            style = {"symbol": symbol, "size": size, "color": mark.colour, "line": edge}
            return {**trace, "type": "scatter", "mode": "markers", "marker": style}
        case Line():
            shape = "hv" if mark.steps else "linear"
            style = {"color": mark.colour, "width": mark.width, "dash": mark.dash, "shape": shape}
            return {**trace, "type": "scatter", "mode": "lines", "line": style}
        case Bars():
            return {**trace, **_bars(mark)}


def _bars(mark: Bars) -> dict[str, Any]:
    hatch = {"shape": mark.hatch, "fillmode": "overlay", "fgcolor": "#ffffff", "size": 9}
    trace: dict[str, Any] = {
        "type": "bar",
        "textposition": "none",
        "marker": {"color": mark.colour, "pattern": hatch},
    }
    if mark.intervals:
        ends = list(zip(mark.y, mark.intervals, strict=True))
        trace["error_x" if mark.horizontal else "error_y"] = {
            "type": "data",
            "symmetric": False,
            "color": "#222222",
            "thickness": 1.2,
            "width": 3,
            "array": [high - y for y, (_, high) in ends],
            "arrayminus": [y - low for y, (low, _) in ends],
        }
    # plotly would widen the bars of a trace that has only every second place.
    trace["width"] = 1 if mark.touching else 0.8
    if mark.horizontal:
        trace |= {"x": list(mark.y), "y": list(mark.x), "orientation": "h"}
    return trace


def _parallel(body: Parallel, letters: int) -> Drawing:
    dimensions = [
        {
            "label": dimension.title,
            "values": list(dimension.places),
            "range": [min(0.0, *(place for place, _ in dimension.ticks)), 1.0],
            "tickvals": list(ticks),
            "ticktext": list(ticks.values()),
        }
        for dimension in body.dimensions
        # plotly draws an axis from its first tick to its last.
        for ticks in ({0.0: "", 1.0: "", **dict(dimension.ticks)},)
    ]
    titles = [dimension.title for dimension in body.dimensions]
    # Letters of two neighbours that meet in the middle between their axes.
    meeting = max((len(a) + len(b) for a, b in itertools.pairwise(titles)), default=0) / 2
    crowded = meeting > letters / len(titles)
    data = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {
            "color": list(body.shade),
            "colorscale": [[i / 2, colour] for i, colour in enumerate(STRENGTH)],
            "showscale": True,
            "colorbar": {"title": {"text": body.shade_title}},
        },
        "labelangle": -14 if crowded else 0,
        "labelside": "top",
        "labelfont": {"size": 13},
        "tickfont": {"size": 11},
    }
    top = 95 if crowded else 60
    left = max(60, 4 * len(titles[0]))
    return [data], {"height": 400 + top, "margin": {"l": left, "r": 60, "t": top, "b": 40}}


def _grid(body: Grid) -> Drawing:
    data = {
        "type": "heatmap",
        "z": [list(row) for row in body.cells],
        "colorscale": "Viridis",
        "zmin": 0,
        "zmax": 1,
        "text": [list(row) for row in body.hover],
        "hovertemplate": "%{text}<extra></extra>",
        "colorbar": {"title": {"text": "share"}},
    }
    y = {**_axis(body.y), "autorange": "reversed"}
    return [data], {"height": 560, "xaxis": _axis(body.x), "yaxis": y}
