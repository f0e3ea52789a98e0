from raylt.study.report.charts import figure, html
from raylt.study.report.charts.figure import Axis, Dimension, Parallel, Points


def test_json_cannot_end_the_script_that_holds_it():
    assert "</script>" not in html.script({"text": "</script><b>"})


def test_an_axis_on_which_all_are_equal_has_one_tick():
    points = Points(name="a", x=(100.0, 100.0), y=(1.0, 3.0), colour=figure.BLUE)
    chart = figure.plot("key", "T", "C.", x=Axis("many (%)"), y=Axis("few"), marks=[points])
    layout = html.drawing(chart)["layout"]
    assert layout["xaxis"]["tickvals"] == [100.0]
    assert "tickvals" not in layout["yaxis"]


def test_names_of_axes_are_turned_where_they_would_touch():
    axis = Dimension(title="complement_weight", places=(0.0, 1.0), ticks=((0.0, "0"), (1.0, "1")))
    body = Parallel(dimensions=(axis,) * 4, shade=(1.0, 2.0), shade_title="accuracy", strong=0)
    chart = figure.Chart(key="parallel", title="T", caption="C.", body=body)
    wide, narrow = (html.drawing(chart, letters=room) for room in (110, 60))
    assert wide["data"][0]["labelangle"] == 0
    assert narrow["data"][0]["labelangle"] != 0
