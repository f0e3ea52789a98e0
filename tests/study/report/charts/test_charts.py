"""Charts say what the record holds, whatever a study went through, and both programs draw them."""

import json

from raylt.study.report import charts
from raylt.study.report.charts import html, png
from tests.study import made
from tests.study.report.charts.made import named


def test_every_chart_is_drawn_twice(record):
    drawn_charts = charts.of_study(record)
    keys = "cost parallel importance response pareto curves paid classes data"
    assert " ".join(chart.key for chart in drawn_charts) == keys
    for chart in (*drawn_charts, *charts.of_trial(record, 1)):
        assert chart.body is not None, chart.caption
        if chart.key in ("parallel", "importance", "response", "classes", "data", "confusion"):
            assert png.png(chart).startswith(b"\x89PNG")
        drawn = html.drawing(chart)
        assert json.loads(html.script(drawn)) == json.loads(json.dumps(drawn))


def test_what_is_missing_is_named(tmp_path):
    bare = made.study(tmp_path, trials=2, failed=(0, 1), tables=False)
    for chart in charts.of_study(bare):
        if chart.key == "data":
            # The counts of the digits are known without a trial.
            assert chart.body is not None
        else:
            assert chart.body is None
            assert chart.caption.startswith("Nothing to draw: ")
    assert charts.of_trial(bare, 0) == ()


def test_a_study_without_open_leaves_has_charts(tmp_path):
    closed = made.study(
        tmp_path,
        "method.temperature=0.2",
        "method.prune=0.6",
        "method.random_share=0.0",
        "method.head_depth=2",
        trials=1,
        failed=(),
    )
    drawn_charts = named(charts.of_study(closed))
    assert drawn_charts["parallel"].body is None
    assert drawn_charts["curves"].body is not None
    assert drawn_charts["paid"].caption == "Nothing to draw: one run has nothing to compare."


def test_marks_differ_without_colour_too(record):
    """Colour-blind readers and grey print: shape, dash, width or hatch tell the marks apart."""
    for chart in (*charts.of_study(record), *charts.of_trial(record, 1)):
        for panel in chart.body if isinstance(chart.body, tuple) else ():
            looks = {
                mark.name: getattr(mark, "symbol", None)
                or getattr(mark, "hatch", None)
                or (getattr(mark, "dash", None), getattr(mark, "width", None))
                for mark in panel.marks
                if mark.name
            }
            assert len(set(looks.values())) == len(looks), (chart.key, looks)
