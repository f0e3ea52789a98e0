"""Charts as pictures: each mark is where and as the description says."""

import io

import numpy as np
import pytest
from PIL import Image

from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import (
    Axis,
    Bars,
    Chart,
    Dimension,
    Grid,
    Line,
    Panel,
    Parallel,
    Points,
)
from raylt.study.report.charts.png import png

X, Y = Axis("trial"), Axis("accuracy (%)")
# Anti-aliasing blends the edges of a mark with what is under it.
CLOSE = 12


def drawn(chart):
    """The pixels of a chart, (height, width, 3)."""
    content = png(chart)
    assert content.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def plotted(*marks, x=X, y=Y, caption="A caption."):
    return figure.plot("key", "Title", caption, x=x, y=y, marks=marks)


def share(pixels, colour):
    """Share of the pixels that have a colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return (np.abs(pixels - wanted).max(2) < CLOSE).mean()


def middle(pixels, colour):
    """Where a colour is, as (from the left, from the top) in shares of the picture."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    rows, columns = np.nonzero(np.abs(pixels - wanted).max(2) < CLOSE)
    return columns.mean() / pixels.shape[1], rows.mean() / pixels.shape[0]


def test_marks_have_their_colour_and_stand_where_their_values_are():
    low = Points(name="low", x=(0.0,), y=(0.0,), colour=figure.BLUE, symbol="diamond")
    high = Points(name="", x=(9.0,), y=(90.0,), colour=figure.VERMILION, symbol="star")
    pixels = drawn(plotted(low, high))
    (left, bottom), (right, top) = (middle(pixels, c) for c in (figure.BLUE, figure.VERMILION))
    assert left < 0.5 < right
    assert top < 0.5 < bottom


def test_a_hollow_mark_is_empty_and_a_full_one_is_not():
    def of(symbol):
        marks = Points(name="", x=(1.0,), y=(1.0,), colour=figure.GREEN, symbol=symbol)
        return share(drawn(plotted(marks)), figure.GREEN)

    assert 0 < of("hollow") < of("circle") / 2


@pytest.mark.parametrize(("dash", "least", "most"), [("dash", 0.4, 0.95), ("dot", 0.2, 0.8)])
def test_a_broken_line_has_gaps(dash, least, most):
    def of(kind):
        line = Line(name="", x=(0.0, 1.0), y=(1.0, 1.0), colour=figure.BLUE, dash=kind, width=4)
        return share(drawn(plotted(line)), figure.BLUE)

    assert least < of(dash) / of("solid") < most


def test_bars_are_as_long_as_their_values_and_touching_ones_leave_no_gap():
    def of(**options):
        bars = Bars(name="", x=(0, 1, 2, 3), y=(4, 4, 4, 4), colour=figure.ORANGE, **options)
        return share(drawn(plotted(bars)), figure.ORANGE)

    assert of(touching=True) > 1.1 * of()
    short = Bars(name="", x=(0, 1), y=(1, 1), colour=figure.BLUE)
    tall = Bars(name="", x=(2, 3), y=(4, 4), colour=figure.ORANGE)
    pixels = drawn(plotted(short, tall))
    ratio = share(pixels, figure.ORANGE) / share(pixels, figure.BLUE)
    assert ratio == pytest.approx(4, rel=0.1)


def test_horizontal_bars_begin_at_the_top():
    bars = [
        Bars(name="", x=(place,), y=(1.0,), colour=colour, horizontal=True)
        for place, colour in ((0, figure.BLUE), (1, figure.ORANGE))
    ]
    pixels = drawn(plotted(*bars, y=Axis("", ticks=("first", "second"))))
    assert middle(pixels, figure.BLUE)[1] < middle(pixels, figure.ORANGE)[1]


def test_a_long_caption_makes_the_picture_higher_and_not_wider():
    bars = Bars(name="", x=(0, 1), y=(1, 1), colour=figure.BLUE)
    short, long = (drawn(plotted(bars, caption="word " * n)) for n in (1, 200))
    assert long.shape[0] > short.shape[0] + 50
    assert abs(long.shape[1] - short.shape[1]) < 20


def test_four_panels_stand_in_two_rows():
    line = Line(name="a", x=(0.0, 1.0), y=(0.0, 1.0), colour=figure.BLUE)
    panel = Panel(x=Axis("x", log=True), y=Y, marks=(line,))
    rows = [drawn(Chart("k", "t", "c", (panel,) * number)).shape[0] for number in (3, 4)]
    assert rows[1] > 1.6 * rows[0]


def parallel(strong):
    dimensions = tuple(
        Dimension(title=name, places=(0.0, 0.5, 1.0), ticks=((0.0, "low"), (1.0, "high")))
        for name in ("lr", "tau")
    )
    body = Parallel(dimensions=dimensions, shade=(1.0, 2.0, 3.0), shade_title="%", strong=strong)
    return Chart("k", "t", "c", body)


def test_the_best_trial_is_drawn_on_black():
    with_best, without = (share(drawn(parallel(strong)), figure.BLACK) for strong in (2, None))
    assert with_best > 1.5 * without


def test_a_table_of_shares_writes_them_where_there_is_room():
    def of(n):
        cells = tuple(tuple(float(i == k) for k in range(n)) for i in range(n))
        body = Grid(x=Axis("taken for"), y=Axis("class"), cells=cells, hover=())
        return drawn(Chart("k", "t", "c", body))

    yellow, purple = "#fde725", "#440154"
    small = of(4)
    assert share(small, purple) / share(small, yellow) == pytest.approx(3, rel=0.3)
    # The hundreds on the diagonal are black; in a large table nothing is written.
    assert share(of(4), figure.BLACK) > share(of(13), figure.BLACK)
