import math

import pytest

from raylt.study.report import charts
from raylt.study.report.charts import figure, parallel
from tests.study.report.charts.made import named


def test_parallel_coordinates_cross_where_the_values_are(record):
    body = named(charts.of_study(record))["parallel"].body
    scored = [trial for trial in record.ranking() if trial.last]
    temperature, prune, share, depth, *_ = body.dimensions
    for i, trial in enumerate(scored):
        t = trial.point["method.temperature"]
        assert temperature.places[i] == pytest.approx(math.log(t / 0.05) / math.log(1 / 0.05))
        assert prune.places[i] == pytest.approx(trial.point["method.prune"] / 0.99)
        assert depth.places[i] == {2: 0, 3: 1}[trial.point["method.head_depth"]]
        absent = "method.random_share" not in trial.point
        assert (share.places[i] < 0) == absent
    assert (-0.12, "absent") in share.ticks
    assert scored[body.strong].number == record.best().number


@pytest.mark.parametrize(
    ("low", "high", "log", "ticks"),
    [
        (0.0, 0.99, False, [0, 0.2, 0.4, 0.6, 0.8]),
        (91.3, 96.3, False, [92, 93, 94, 95, 96]),
        (0.1, 0.3, False, [0.1, 0.15, 0.2, 0.25, 0.3]),
        (0.05, 1.0, True, [0.05, 0.1, 0.2, 0.5, 1.0]),
        (1e-6, 1.0, True, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0]),
        (0.2, 0.6, True, [0.2, 0.3, 0.4, 0.5, 0.6]),
        (0.6, 0.6, False, [0.6]),
    ],
)
def test_ticks_are_round_numbers(low, high, log, ticks):
    result = figure.round_ticks(low, high, log=log)
    assert result == ticks
    assert all(len(f"{tick:g}") <= 6 for tick in result)


def test_an_axis_of_equal_values_has_a_middle():
    dimension = parallel.number_axis("epochs", [3.0, 3.0])
    assert dimension.places == (0.5, 0.5)
    assert dimension.ticks == ((0.5, "3"),)
