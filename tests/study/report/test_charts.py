"""Charts say what the record holds, whatever a study went through, and both programs draw them."""

import io
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from raylt.study.report import charts
from raylt.study.report.charts import classes, figure, html, importance, parallel, png, search
from tests.study import made

FRACTIONS = st.integers(0, 20).map(lambda n: n / 20)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return made.study(tmp_path_factory.mktemp("charts"), trials=18)


def named(found):
    return {chart.key: chart for chart in found}


def test_every_chart_is_drawn_twice(record):
    found = charts.of_study(record)
    keys = "cost parallel importance response pareto curves paid classes data"
    assert " ".join(chart.key for chart in found) == keys
    for chart in (*found, *charts.of_trial(record, 1)):
        assert chart.body is not None, chart.caption
        if chart.key in ("parallel", "importance", "response", "classes", "data", "confusion"):
            assert png.png(chart).startswith(b"\x89PNG")
        drawn = html.drawing(chart)
        assert json.loads(html.script(drawn)) == json.loads(json.dumps(drawn))


def test_best_so_far_only_rises_and_ends_at_the_best(record):
    line = named(charts.of_study(record))["cost"].body[0].marks[0]
    assert list(line.y) == sorted(line.y)
    assert list(line.x) == sorted(line.x)
    assert line.y[-1] == pytest.approx(100 * record.best().last["val/accuracy"])
    assert line.x[-1] == pytest.approx(sum(o.seconds for o in record.outcomes()) / 60)


def test_parallel_coordinates_cross_where_the_values_are(record):
    body = named(charts.of_study(record))["parallel"].body
    scored = [one for one in record.ranking() if one.last]
    temperature, prune, share, depth, *_ = body.dimensions
    for i, one in enumerate(scored):
        t = one.point["method.temperature"]
        assert temperature.places[i] == pytest.approx(math.log(t / 0.05) / math.log(1 / 0.05))
        assert prune.places[i] == pytest.approx(one.point["method.prune"] / 0.99)
        assert depth.places[i] == {2: 0, 3: 1}[one.point["method.head_depth"]]
        absent = "method.random_share" not in one.point
        assert (share.places[i] < 0) == absent
    assert (-0.12, "absent") in share.ticks
    assert scored[body.strong].number == record.best().number


def test_importance_weighs_conditional_leaves_among_their_own_trials(record):
    ranking = record.ranking()
    values, basis = importance.comparable(record, ranking, needed=16)
    # Thirteen trials finished; with those that were stopped there are sixteen at epoch 2.
    assert len(values) == 17
    assert basis == "at epoch 2, which all of them reached"
    shares = importance.shares(record, ranking, values)
    assert set(shares) == {*(leaf.path for leaf in record.space.leaves), importance.CHANCE}
    assert sum(shares[p] for p in shares if p != "method.random_share") == pytest.approx(1)
    # The made results hang on the temperature and on pruning, and on nothing else.
    assert shares["method.temperature"] > shares["method.head_depth"]
    assert shares["method.temperature"] > shares[importance.CHANCE]
    chart = importance.importance(record, ranking)
    assert any(tick.startswith("random_share (") for tick in chart.body[0].y.ticks)


def test_finished_trials_alone_are_weighed_where_they_are_enough(record):
    values, basis = importance.comparable(record, record.ranking(), needed=10)
    assert basis == "all of them finished"
    assert {record.outcome(number).state for number in values} == {"complete"}


def test_too_few_trials_are_said_to_be_too_few(tmp_path):
    few = made.study(tmp_path, trials=4, stopped=())
    found = named(charts.of_study(few))
    assert found["importance"].body is None
    assert "needs 16 trials" in found["importance"].caption


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
    found = named(charts.of_study(closed))
    assert found["parallel"].body is None
    assert found["curves"].body is not None
    assert found["paid"].caption == "Nothing to draw: the baseline is the best trial."


@given(st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=1, max_size=12))
def test_the_front_is_all_that_is_not_beaten(pairs):
    def beaten(pair):
        return any(
            other != pair and other[0] >= pair[0] and other[1] >= pair[1] for other in pairs
        )

    assert search.front_of(pairs) == tuple(sorted({p for p in pairs if not beaten(p)}))


def test_an_axis_of_equal_values_has_a_middle():
    dimension = parallel._numbers("epochs", [3.0, 3.0], digits=0)
    assert dimension.places == (0.5, 0.5)
    assert dimension.ticks == ((0.5, "3"),)


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


def test_json_cannot_end_the_script_that_holds_it():
    assert "</script>" not in html.script({"text": "</script><b>"})


def test_the_head_of_thousands_of_classes_does_not_fade():
    """Fifty hatched classes of 99 ... 50 images before 4,000 others, four classes to a pixel."""
    counts = [*range(99, 49, -1), *[10] * 4000]
    chart = classes.histogram(counts)
    drawn = np.asarray(Image.open(io.BytesIO(png.png(chart))).convert("RGB")).astype(int)
    orange = [int(figure.ORANGE[i : i + 2], 16) for i in (1, 3, 5)]
    column = (np.abs(drawn - orange).sum(2) < 90).sum(0).max()
    # From the foot of the axes to the largest class, which is all but a tenth of them.
    assert column > 0.6 * len(drawn)
    bars = html.drawing(chart)["data"]
    assert [bar["width"] for bar in bars] == [1, 1]
    apart = html.drawing(classes.histogram([30, 10, 5]))["data"]
    assert not any("width" in bar for bar in apart)
