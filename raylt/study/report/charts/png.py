"""Charts by matplotlib, for print: PNG files for MLflow and for papers."""

from __future__ import annotations

import io
import math
import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

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
)

_DPI = 110
_COLUMNS = 3
"""Panels in a row."""
_SYMBOLS = {
    "circle": ("o", 26),
    "hollow": ("o", 26),
    "diamond": ("D", 50),
    "star": ("*", 140),
    "square": ("s", 26),
}
"""Markers of matplotlib and their areas."""
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_HATCHES = {"": "", "/": "///", "x": "xxx"}
_ROW = 0.22
"""Inches that a named place on the axis to the left needs."""
_MARGIN = 0.1
"""Inches around a picture."""
_CAPTION_WIDTH = 110
"""Letters of a caption in one line of a picture of 8 inches."""


def png(chart: Chart) -> bytes:
    """A chart with something to draw as a PNG file, its caption below it."""
    assert chart.body is not None
    # Without pyplot: that keeps one state for the whole process, and this may run in a thread.
    caption = chart.caption
    if isinstance(chart.body, Parallel):
        figure = _parallel(chart.body)
        if chart.body.strong is not None:
            caption += " The strongest line is the best trial."
    elif isinstance(chart.body, Grid):
        figure = _grid(chart.body)
    else:
        figure = _panels(chart.body)
    figure.suptitle(chart.title, x=0.01, ha="left", fontweight="bold")
    caption = textwrap.fill(caption, int(_CAPTION_WIDTH * figure.get_figwidth() / 8))
    figure.text(0.01, 0.0, caption, fontsize=8, va="top", color="#444444")
    FigureCanvasAgg(figure)
    # A legend keeps to the edge of the page, which the caption moves: once room is made for it,
    # it is tied to the figure.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)
    # What "tight" would find by drawing everything once more.
    box = figure.get_tightbbox().padded(_MARGIN)
    file = io.BytesIO()
    options: dict[str, Any] = {"facecolor": "white", "pil_kwargs": {"compress_level": 3}}
    figure.savefig(file, format="png", dpi=_DPI, bbox_inches=box, **options)
    return file.getvalue()


def _panels(panels: tuple[Panel, ...]) -> Figure:
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    tall = max(4.2, _ROW * len(panels[0].y.ticks) + 1)
    size = (8, tall) if len(panels) == 1 else (3.6 * columns, 3.2 * rows)
    figure = Figure(figsize=size, layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False).flat
    legend: dict[str, Any] = {}
    for axes, panel in zip(all_axes, panels, strict=False):
        _panel(axes, panel)
        handles, labels = axes.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    if legend:
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": 6, "frameon": False}
        figure.legend(list(legend.values()), list(legend), fontsize=8, **place)
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    for mark in panel.marks:
        _mark(axes, mark)
    _axis(axes, panel.x, "x")
    _axis(axes, panel.y, "y")
    if panel.y.ticks:
        axes.invert_yaxis()
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _mark(axes: Axes, mark: Mark) -> None:
    label = mark.name or None
    match mark:
        case Points():
            marker, area = _SYMBOLS[mark.symbol]
            axes.scatter(
                mark.x,
                mark.y,
                s=area,
                marker=marker,
                facecolors="none" if mark.symbol == "hollow" else mark.colour,
                edgecolors=mark.colour,
                label=label,
                zorder=3,
            )
        case Line():
            axes.plot(
                mark.x,
                mark.y,
                color=mark.colour,
                linewidth=mark.width * 0.7,
                label=label,
                linestyle=_DASHES[mark.dash],
                drawstyle="steps-post" if mark.steps else "default",
            )
        case Bars():
            _bars(axes, mark, label)


def _bars(axes: Axes, mark: Bars, label: str | None) -> None:
    if mark.intervals:
        ends = list(zip(mark.y, mark.intervals, strict=True))
        lengths = [[abs(y - interval[side]) for y, interval in ends] for side in (0, 1)]
        whisker: dict[str, Any] = {"ecolor": "#222222", "elinewidth": 0.8, "capsize": 2}
        if mark.horizontal:
            axes.errorbar(mark.y, mark.x, xerr=lengths, fmt="none", **whisker)
        else:
            axes.errorbar(mark.x, mark.y, yerr=lengths, fmt="none", **whisker)
    style: dict[str, Any] = {
        "color": mark.colour,
        "label": label,
        "hatch": _HATCHES[mark.hatch],
        "edgecolor": "white",
        "linewidth": 0,
    }
    if mark.touching:
        edges = [x - 0.5 for x in (*mark.x, mark.x[-1] + 1)]
        axes.stairs(mark.y, edges, fill=True, **style)
        # A bar that is narrower than a pixel would fade without it.
        axes.stairs(mark.y, edges, color=mark.colour, linewidth=1)
    else:
        draw = axes.barh if mark.horizontal else axes.bar
        draw(mark.x, mark.y, **style)


def _axis(axes: Axes, axis: Axis, side: str) -> None:
    drawn = axes.xaxis if side == "x" else axes.yaxis
    drawn.set_label_text(axis.title)
    if axis.log:
        axes.set(**{f"{side}scale": "log"})
        drawn.set_major_locator(LogLocator(subs=(1, 2, 5)))
        drawn.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        drawn.set_minor_formatter(NullFormatter())
    if axis.ticks:
        drawn.set_ticks(range(len(axis.ticks)), axis.ticks)


def _parallel(body: Parallel) -> Figure:
    figure = Figure(figsize=(10, 4.4))
    axes = figure.subplots()
    shades = LinearSegmentedColormap.from_list("strength", STRENGTH)
    low, high = min(body.shade), max(body.shade)
    span = (high - low) or 1.0
    across = range(len(body.dimensions))
    # The best results are drawn last, over the others.
    for i in sorted(range(len(body.shade)), key=lambda i: (i == body.strong, body.shade[i])):
        heights = [dimension.places[i] for dimension in body.dimensions]
        strong = i == body.strong
        if strong:
            axes.plot(across, heights, color="black", linewidth=5)
        shade = shades((body.shade[i] - low) / span)
        width, alpha = (3.2, 1) if strong else (1.1, 0.75)
        axes.plot(across, heights, color=shade, linewidth=width, alpha=alpha)
    frame = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5}
    for x, dimension in enumerate(body.dimensions):
        axes.axvline(x, color="#444444", linewidth=0.8)
        for y, label in dimension.ticks:
            axes.text(x + 0.03, y, label, fontsize=7, va="center", bbox=frame)
    axes.set_xticks(across, [dimension.title for dimension in body.dimensions], rotation=15)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.margins(x=0.06)
    scale = ScalarMappable(Normalize(low, high if high > low else low + 1), shades)
    figure.colorbar(scale, ax=axes, label=body.shade_title)
    return figure


def _grid(body: Grid) -> Figure:
    figure = Figure(figsize=(6.4, 5.8))
    axes = figure.subplots()
    image = axes.imshow(body.cells, cmap="viridis", vmin=0, vmax=1)
    _axis(axes, body.x, "x")
    _axis(axes, body.y, "y")
    figure.colorbar(image, ax=axes, label="share")
    if len(body.cells) > 12:
        return figure
    for y, row in enumerate(body.cells):
        for x, share in enumerate(row):
            if not math.isclose(share, 0):
                style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
                ink = "black" if share > 0.6 else "white"
                axes.text(x, y, f"{100 * share:.0f}", color=ink, **style)
    return figure
