import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.study.report import charts
from raylt.study.report.charts import search
from tests.study.report.charts.made import named
from tests.study.search.made import result, searcher

FRACTIONS = st.integers(0, 20).map(lambda n: n / 20)


def test_best_so_far_only_rises_and_ends_at_the_best(record):
    line = named(charts.of_study(record))["cost"].body[0].marks[0]
    assert list(line.y) == sorted(line.y)
    assert list(line.x) == sorted(line.x)
    assert line.y[-1] == pytest.approx(100 * record.best().last["val/accuracy"])
    assert line.x[-1] == pytest.approx(sum(o.seconds for o in record.outcomes()) / 60)


@given(st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=1, max_size=12))
def test_the_front_is_all_that_is_not_beaten(pairs):
    def beaten(pair):
        return any(
            other != pair and other[0] >= pair[0] and other[1] >= pair[1] for other in pairs
        )

    assert search.front_of(pairs) == tuple(sorted({p for p in pairs if not beaten(p)}))


def test_a_baseline_that_nobody_drives_is_drawn_once(study):
    made = study()
    driven = searcher(made)
    driven.suggest("t")
    driven.started("t")
    driven.on_trial_result("t", result(1))
    assert made.ranking()[0].state == "interrupted"
    chart = search.curves(made, made.ranking())
    assert chart.caption == "1 trial."
    assert "weaker" not in str(chart)
