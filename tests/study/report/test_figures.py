import pytest
from plotly.graph_objects import Figure

from raylt.study.report import charts
from raylt.study.report.figures import Figures
from tests.study import made


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    record = made.study(tmp_path_factory.mktemp("figures"), trials=8)
    drawn = Figures(charts.of_study(record))
    record.close()
    return drawn


def test_every_chart_of_the_report_is_a_figure_with_its_title(figures):
    assert {"parallel", "cost", "curves", "importance"} <= set(dir(figures))
    for name in dir(figures):
        figure = getattr(figures, name)()
        assert isinstance(figure, Figure)
        assert figure.layout.title.text
        lines = figure.layout.title.subtitle.text.split("<br>")
        assert max(map(len, lines)) <= 95
        # The caption has its own room above the names of the axes.
        assert not figure.data or figure.layout.margin.t >= 60 + 18 * len(lines)


def test_a_chart_with_nothing_to_draw_says_why():
    empty = Figures([charts.figure.nothing("cost", "Cost", "no trial has finished yet")])
    drawn = empty.cost()
    assert not drawn.data
    assert "no trial has finished yet" in drawn.layout.title.subtitle.text


def test_a_chart_that_is_not_there_is_named_with_those_that_are(figures):
    with pytest.raises(AttributeError, match="no chart 'paralel'; did you mean 'parallel'"):
        figures.paralel  # noqa: B018


def test_the_charts_at_a_prompt_name_themselves():
    assert repr(Figures([charts.figure.nothing("cost", "Cost", "none")])) == "<Figures: cost>"
