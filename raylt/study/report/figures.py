"""The charts of the report as figures of plotly, for notebooks."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from raylt.plugins import did_you_mean
from raylt.study.report.charts import html
from raylt.study.report.charts.figure import Chart

if TYPE_CHECKING:
    import plotly.graph_objects as go

_CAPTION_WIDTH = 95
"""Letters of a line of a caption in a notebook."""
_LETTERS = 66
"""Those over the axes of parallel coordinates there."""


class Figures:
    """The charts of the report as plotly figures: `study.figures.parallel()`.

    `dir(study.figures)` names them. A chart that has nothing to show yet says why.
    """

    def __init__(self, charts: Sequence[Chart]) -> None:
        self._charts = {chart.key: chart for chart in charts}

    def __repr__(self) -> str:
        return f"<Figures: {', '.join(self._charts)}>"

    def __dir__(self) -> list[str]:
        return list(self._charts)

    def __getattr__(self, name: str) -> Callable[[], go.Figure]:
        if name.startswith("_") or name not in self._charts:
            raise AttributeError(
                f"there is no chart {name!r}{did_you_mean(name, self._charts)}; there are "
                f"{', '.join(self._charts)}"
            )
        return partial(_plotted, self._charts[name])


def _plotted(chart: Chart) -> go.Figure:
    import plotly.graph_objects as go

    lines = textwrap.wrap(chart.caption, _CAPTION_WIDTH)
    title = {
        "text": chart.title,
        "subtitle": {"text": "<br>".join(lines)},
        "yref": "container",
        "yanchor": "top",
        "y": 1,
        "pad": {"t": 12},
    }
    if chart.body is None:
        return go.Figure(layout_title=title)
    figure = go.Figure(html.drawing(chart, letters=_LETTERS))
    # The title stands above what the chart has there: a legend, or the names of its axes.
    room = 34 + 18 * len(lines)
    layout: Any = figure.layout
    return figure.update_layout(
        title=title, margin_t=(layout.margin.t or 60) + room, height=layout.height + room
    )
