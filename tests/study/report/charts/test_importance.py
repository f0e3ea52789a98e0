import pytest

from raylt.study.report import charts
from raylt.study.report.charts import importance
from tests.study import made
from tests.study.report.charts.made import named


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
    by_key = named(charts.of_study(few))
    assert by_key["importance"].body is None
    assert "needs 16 trials" in by_key["importance"].caption
