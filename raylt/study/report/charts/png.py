"""Charts by matplotlib, to be printed: PNG files for MLflow and for papers."""

from __future__ import annotations

import io
import math
import textwrap
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from raylt.study.report.charts.figure import Axis, Bars, Chart, Grid, Line, Panel, Parallel, Points

_DPI = 110
_COLUMNS = 3
_SHADES = "viridis"
_MARKERS = {"circle": "o", "hollow": "o", "diamond": "D", "star": "*", "square": "s"}
_SIZES = {"circle": 26, "hollow": 26, "diamond": 50, "star": 140, "square": 26}
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_HATCHES = {"": "", "/": "///", "x": "xxx"}
_EDGE = 0.1
"""Inches around a picture."""
_ROOM = 110
"""Letters of a caption in one line."""


def png(chart: Chart) -> bytes:
    """A chart with something to draw as a PNG file, its caption below it."""
    assert chart.body is not None
    # Without pyplot: that keeps one state for the whole process, and this may run in a thread.
    caption = chart.caption
    if isinstance(chart.body, Parallel):
        figure = Figure(figsize=(10, 4.4))
        _parallel(figure, chart.body)
        caption += (
            " The strongest line is the best trial." if chart.body.strong is not None else ""
        )
    elif isinstance(chart.body, Grid):
        figure = Figure(figsize=(6.4, 5.8))
        _grid(figure, chart.body)
    else:
        figure = _panels(chart.body)
    figure.suptitle(chart.title, x=0.01, ha="left", fontweight="bold")
    figure.text(0.01, 0.0, _wrapped(caption, figure), fontsize=8, va="top", color="#444444")
    FigureCanvasAgg(figure)
    # A legend keeps to the edge of the page, which the caption moves: once room is made for it,
    # it is tied to the figure.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, 1), figure.transFigure)
    # What "tight" would find by drawing everything once more.
    box = figure.get_tightbbox().padded(_EDGE)
    found = io.BytesIO()
    figure.savefig(
        found,
        format="png",
        dpi=_DPI,
        bbox_inches=box,
        facecolor="white",
        pil_kwargs={"compress_level": 3},
    )
    return found.getvalue()


def _wrapped(text: str, figure: Figure) -> str:
    return textwrap.fill(text, int(_ROOM * figure.get_figwidth() / 8))


def _panels(panels: tuple[Panel, ...]) -> Figure:
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (8, 4.2) if len(panels) == 1 else (3.6 * columns, 3.2 * rows)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    words: dict[str, Any] = {}
    for i in range(rows * columns):
        axes: Axes = grid[i // columns][i % columns]
        if i >= len(panels):
            axes.set_axis_off()
            continue
        _panel(axes, panels[i])
        handles, labels = axes.get_legend_handles_labels()
        words |= dict(zip(labels, handles, strict=True))
    if words:
        figure.legend(
            list(words.values()),
            list(words),
            loc="outside lower center",
            ncols=6,
            fontsize=8,
            frameon=False,
        )
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    lying = any(isinstance(mark, Bars) and mark.lying for mark in panel.marks)
    for mark in panel.marks:
        _mark(axes, mark)
    _axis(axes, panel.x, "x")
    _axis(axes, panel.y, "y")
    if lying:
        axes.invert_yaxis()
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _mark(axes: Axes, mark: Points | Line | Bars) -> None:
    label = mark.name or None
    if isinstance(mark, Bars) and mark.ends:
        lengths = [
            [abs(at - end[side]) for at, end in zip(mark.y, mark.ends, strict=True)]
            for side in (0, 1)
        ]
        axes.errorbar(
            mark.x, mark.y, yerr=lengths, fmt="none", ecolor="#222222", elinewidth=0.8, capsize=2
        )
    match mark:
        case Points():
            face = "none" if mark.symbol == "hollow" else mark.colour
            axes.scatter(
                mark.x,
                mark.y,
                s=_SIZES[mark.symbol],
                marker=_MARKERS[mark.symbol],
                facecolors=face,
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
        case Bars() if mark.touching:
            edges = [x - 0.5 for x in (*mark.x, mark.x[-1] + 1)]
            hatch = _HATCHES[mark.hatch]
            axes.stairs(
                mark.y,
                edges,
                fill=True,
                color=mark.colour,
                label=label,
                hatch=hatch,
                edgecolor="white",
                linewidth=0,
            )
            # A bar that is narrower than a pixel would fade without it.
            axes.stairs(mark.y, edges, color=mark.colour, linewidth=1)
        case Bars():
            draw = axes.barh if mark.lying else axes.bar
            draw(
                mark.x,
                mark.y,
                color=mark.colour,
                label=label,
                hatch=_HATCHES[mark.hatch],
                edgecolor="white",
                linewidth=0,
            )


def _axis(axes: Axes, axis: Axis, which: str) -> None:
    own = axes.xaxis if which == "x" else axes.yaxis
    own.set_label_text(axis.title)
    if axis.log:
        axes.set(**{f"{which}scale": "log"})
        own.set_major_locator(LogLocator(subs=(1, 2, 5)))
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        own.set_minor_formatter(NullFormatter())
    if axis.ticks:
        own.set_ticks(range(len(axis.ticks)), axis.ticks)


def _parallel(figure: Figure, body: Parallel) -> None:
    axes = figure.subplots()
    shades = colormaps[_SHADES]
    low, high = min(body.shade), max(body.shade)
    span = (high - low) or 1.0
    across = range(len(body.dimensions))
    # The best results are drawn last, over the others.
    for i in sorted(range(len(body.shade)), key=lambda i: (i == body.strong, body.shade[i])):
        heights = [each.places[i] for each in body.dimensions]
        strong = i == body.strong
        if strong:
            axes.plot(across, heights, color="black", linewidth=5)
        axes.plot(
            across,
            heights,
            color=shades((body.shade[i] - low) / span),
            linewidth=3.2 if strong else 1.1,
            alpha=1 if strong else 0.75,
        )
    for x, each in enumerate(body.dimensions):
        axes.axvline(x, color="#444444", linewidth=0.8)
        for height, word in each.ticks:
            axes.text(
                x + 0.03,
                height,
                word,
                fontsize=7,
                va="center",
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
            )
    axes.set_xticks(across, [each.title for each in body.dimensions], rotation=15)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.margins(x=0.06)
    scale = ScalarMappable(Normalize(low, high if high > low else low + 1), shades)
    figure.colorbar(scale, ax=axes, label=body.shade_title)


def _grid(figure: Figure, body: Grid) -> None:
    axes = figure.subplots()
    image = axes.imshow(body.cells, cmap=_SHADES, vmin=0, vmax=1)
    _axis(axes, body.x, "x")
    _axis(axes, body.y, "y")
    figure.colorbar(image, ax=axes, label="share")
    if len(body.cells) > 12:
        return
    for y, row in enumerate(body.cells):
        for x, share in enumerate(row):
            if not math.isclose(share, 0):
                ink = "black" if share > 0.6 else "white"
                axes.text(
                    x, y, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=7
                )
