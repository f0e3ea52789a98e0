"""Charts by plotly, to be touched: as the plain data that plotly.js draws."""

from __future__ import annotations

import itertools
import json
from typing import Any

from raylt.study.report.charts.figure import Axis, Bars, Chart, Grid, Line, Panel, Parallel, Points

_COLUMNS = 3
"""Panels in a row."""
_LETTERS = 110
"""Letters that fit beside each other over the axes of parallel coordinates."""
_SYMBOLS = {
    "circle": "circle",
    "hollow": "circle-open",
    "diamond": "diamond",
    "star": "star",
    "square": "square",
}
_SIZES = {"circle": 8, "hollow": 8, "diamond": 12, "star": 15, "square": 8}
_SHADES = "Viridis"
_FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#222"}
_LINE = "#d8d8d8"


def drawing(chart: Chart) -> dict[str, Any]:
    """`data` and `layout` of a chart with something to draw, as plotly.js takes them."""
    assert chart.body is not None
    if isinstance(chart.body, Parallel):
        data, layout = _parallel(chart.body)
    elif isinstance(chart.body, Grid):
        data, layout = _grid(chart.body)
    else:
        data, layout = _panels(chart.body)
    shared = {
        "font": _FONT,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "barmode": "overlay",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    return {"data": data, "layout": {**shared, **layout}}


def script(value: Any) -> str:
    """A value as JSON that may stand inside a script of an HTML page."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _panels(panels: tuple[Panel, ...]) -> tuple[list[Any], dict[str, Any]]:
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    layout: dict[str, Any] = {
        "height": 430 if rows == 1 else 300 * rows + 60,
        "margin": {"l": 62, "r": 20, "t": 50, "b": 56},
        "grid": {
            "rows": rows,
            "columns": columns,
            "pattern": "independent",
            "xgap": 0.2,
            "ygap": 0.32,
        },
    }
    data: list[Any] = []
    named: set[str] = set()
    for i, panel in enumerate(panels):
        suffix = "" if i == 0 else str(i + 1)
        lying = any(isinstance(mark, Bars) and mark.lying for mark in panel.marks)
        layout[f"xaxis{suffix}"] = _axis(panel.x)
        layout[f"yaxis{suffix}"] = _axis(panel.y)
        if lying:
            layout[f"yaxis{suffix}"] |= {"autorange": "reversed", "automargin": True}
        for mark in panel.marks:
            trace = _trace(mark)
            shown = bool(mark.name) and mark.name not in named
            named.add(mark.name)
            place = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
            data.append({**trace, **place, "legendgroup": mark.name, "showlegend": shown})
    return data, layout


def _axis(axis: Axis) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": {"text": axis.title},
        "showline": True,
        "linecolor": "#444",
        "ticks": "outside",
        "gridcolor": _LINE,
        "zeroline": False,
    }
    if axis.log:
        found |= {"type": "log", "dtick": "D2"}
    if axis.ticks:
        found |= {
            "tickvals": list(range(len(axis.ticks))),
            "ticktext": list(axis.ticks),
            "range": [-0.6, len(axis.ticks) - 0.4],
        }
    return found


def _trace(mark: Points | Line | Bars) -> dict[str, Any]:
    x, y = list(mark.x), list(mark.y)
    shared: dict[str, Any] = {"name": mark.name}
    if mark.told:
        shared |= {"text": list(mark.told), "hovertemplate": "%{text}<br>%{y:.4g}<extra></extra>"}
    match mark:
        case Points():
            edge = {"width": 1.5, "color": mark.colour}
            look = {
                "symbol": _SYMBOLS[mark.symbol],
                "size": _SIZES[mark.symbol],
                "color": mark.colour,
                "line": edge,
            }
            return {**shared, "type": "scatter", "mode": "markers", "x": x, "y": y, "marker": look}
        case Line():
            look = {
                "color": mark.colour,
                "width": mark.width,
                "dash": mark.dash,
                "shape": "hv" if mark.steps else "linear",
            }
            return {**shared, "type": "scatter", "mode": "lines", "x": x, "y": y, "line": look}
        case Bars():
            hatch = {"shape": mark.hatch, "fillmode": "overlay", "fgcolor": "white", "size": 9}
            look = {"color": mark.colour, "pattern": hatch}
            shared["textposition"] = "none"
            if mark.ends:
                shared["error_y"] = {
                    "type": "data",
                    "symmetric": False,
                    "color": "#222",
                    "thickness": 1.2,
                    "width": 3,
                    "array": [high - at for at, (_, high) in zip(y, mark.ends, strict=True)],
                    "arrayminus": [at - low for at, (low, _) in zip(y, mark.ends, strict=True)],
                }
            if mark.touching:
                shared["width"] = 1
            if mark.lying:
                x, y, shared["orientation"] = y, x, "h"
            return {**shared, "type": "bar", "x": x, "y": y, "marker": look}


def _parallel(body: Parallel) -> tuple[list[Any], dict[str, Any]]:
    dimensions = [
        {
            "label": each.title,
            "values": list(each.places),
            "range": [min(0.0, *(at for at, _ in each.ticks)), 1.0],
            "tickvals": [at for at, _ in each.ticks],
            "ticktext": [word for _, word in each.ticks],
        }
        for each in body.dimensions
    ]
    shade = {
        "color": list(body.shade),
        "colorscale": _SHADES,
        "showscale": True,
        "colorbar": {"title": {"text": body.shade_title}},
    }
    titles = [each.title for each in body.dimensions]
    # Letters of two neighbours that meet in the middle between their axes.
    meeting = max((len(a) + len(b) for a, b in itertools.pairwise(titles)), default=0) / 2
    crowded = meeting > _LETTERS / len(titles)
    data = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": shade,
        "labelangle": -14 if crowded else 0,
        "labelside": "top",
        "labelfont": {"size": 13},
        "tickfont": {"size": 11},
    }
    top = 95 if crowded else 60
    return [data], {"height": 400 + top, "margin": {"l": 60, "r": 60, "t": top, "b": 40}}


def _grid(body: Grid) -> tuple[list[Any], dict[str, Any]]:
    data = {
        "type": "heatmap",
        "z": [list(row) for row in body.cells],
        "colorscale": _SHADES,
        "zmin": 0,
        "zmax": 1,
        "text": [list(row) for row in body.told],
        "hovertemplate": "%{text}<extra></extra>",
        "colorbar": {"title": {"text": "share"}},
    }
    layout = {
        "height": 560,
        "xaxis": _axis(body.x),
        "yaxis": {**_axis(body.y), "autorange": "reversed"},
    }
    return [data], layout
