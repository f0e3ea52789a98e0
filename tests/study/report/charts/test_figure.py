from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Line


def test_a_plot_is_one_panel():
    line = Line(name="a", x=(0.0,), y=(1.0,), colour=figure.BLUE)
    chart = figure.plot("key", "Title", "Caption.", x=Axis("x"), y=Axis("y"), marks=[line])
    (panel,) = chart.body
    assert (panel.x.title, panel.y.title, panel.marks) == ("x", "y", (line,))


def test_a_chart_without_a_body_says_why():
    chart = figure.nothing("key", "Title", "no trial has a score yet")
    assert chart.body is None
    assert chart.caption == "Nothing to draw: no trial has a score yet."


def test_the_colours_are_told_apart_in_grey_as_well():
    names = ("BLACK", "GREY", "PALE", "BLUE", "ORANGE", "GREEN", "VERMILION")
    colours = [getattr(figure, name) for name in names]
    assert len(set(colours)) == len(colours)
    assert all(len(colour) == 7 and int(colour[1:], 16) >= 0 for colour in colours)


def test_weak_and_strong_trials_are_seen_on_white_and_in_the_dark():
    for colour in figure.STRENGTH:
        for ground in ("#ffffff", "#16191d"):
            light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 2


def luminance(colour):
    """The relative luminance of the web's rules for contrast."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
