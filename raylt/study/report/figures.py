"""The charts of the report as figures of plotly, for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from raylt.plugins import did_you_mean
from raylt.study.report.charts import html
from raylt.study.report.charts.figure import Chart

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Figures:
    """The charts of the report as plotly figures: `study.figures.parallel()`.

    `dir(study.figures)` names them. A chart that has nothing to show yet says why.
    """

    def __init__(self, charts: Sequence[Chart]) -> None:
        self._charts = {chart.key: chart for chart in charts}

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

    title = {"title": {"text": chart.title, "subtitle": {"text": chart.caption}}}
    if chart.body is None:
        return go.Figure(layout=title)
    figure = go.Figure(html.drawing(chart))
    return figure.update_layout(title, margin_t=110)
