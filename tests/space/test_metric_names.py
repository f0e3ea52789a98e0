import pydantic
import pytest

from raylt import metrics
from raylt.space.metric_names import BEST, GROUPS, METRICS, Metric, known_metric


def test_every_number_of_a_scored_epoch_may_be_searched_by():
    scored = metrics.summary([0, 1, 2, 0], [0, 1, 2, 2], [200, 50, 5])
    assert {f"val/{name}" for name in scored} <= set(METRICS)
    assert {BEST + group for group in GROUPS} <= set(METRICS)


def test_only_losses_costs_and_spreads_are_better_when_they_are_small():
    smaller = {name for name, direction in METRICS.items() if direction == "minimize"}
    assert smaller == {
        "train/loss",
        "cost/seconds",
        "val/std",
        "val/thirds/std",
        "val/shots/std",
    }


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test/few", "must not look at the test set.*val/few"),
        ("val/acuracy", "did you mean 'val/accuracy'"),
        ("loss", "must be a metric that every method reports"),
    ],
)
def test_another_metric_is_refused(name, complaint):
    with pytest.raises(ValueError, match=complaint):
        known_metric(name)


def test_editors_know_the_names():
    assert pydantic.TypeAdapter(Metric).json_schema() == {"enum": list(METRICS)}
