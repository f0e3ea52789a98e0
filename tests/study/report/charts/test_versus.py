import pytest

from raylt.space.rival import rival as rival_of
from raylt.study.report.charts import html, png
from raylt.study.report.charts.versus import charts
from tests.study import made


def test_both_methods_are_in_one_picture_of_either(tmp_path):
    first = made.study(tmp_path, "study.versus=simclr", name="a", trials=8)
    assert charts(first) == ()
    text = rival_of(first.space).text
    other = made.study(tmp_path, name="a-versus-simclr", trials=5, text=text)
    (chart,) = charts(first)
    assert charts(other) == (chart,)
    lines = {mark.name: mark for mark in chart.body[0].marks if hasattr(mark, "dash")}
    whole = [sum(outcome.seconds for outcome in trial.outcomes()) / 60 for trial in (first, other)]
    assert lines["what both have cost"].x == pytest.approx((min(whole), min(whole)))
    for trial, line in zip((first, other), list(lines.values())[:2], strict=True):
        assert line.x[-1] == pytest.approx(
            sum(outcome.seconds for outcome in trial.outcomes()) / 60
        )
        assert line.y[-1] == pytest.approx(100 * trial.best().last["val/accuracy"])
        assert list(line.y) == sorted(line.y)
    assert png.png(chart).startswith(b"\x89PNG")
    assert html.drawing(chart)["data"]


def test_a_name_alone_makes_no_rival(tmp_path):
    made.study(tmp_path, name="a", trials=1, failed=()).close()
    alone = made.study(tmp_path, name="a-versus-simclr", trials=1, failed=())
    assert charts(alone) == ()
