"""The metrics that MLflow is given: all documented, few, and in few digits."""

import fnmatch
import math

import pytest

from raylt.space.metric_names import METRICS
from raylt.space.plan import Study
from raylt.study.tracking.metric_table import TABLE, of_epoch, rounded, summary

ENTRY = {
    "time": 1.0,
    "epoch": 3,
    "val/accuracy": 0.123456,
    "val/few": 2 / 3,
    "val/thirds/few": 0.5,
    "val/shots/std": 0.1,
    "val/best/few": 0.7,
    "cost/seconds": 12.3456789,
    "train/loss": 1.0,
    "lr": 0.000123456,
}


def test_every_metric_that_a_search_may_look_at_has_a_row_with_meaning_and_unit():
    for name in METRICS:
        assert any(fnmatch.fnmatchcase(name, row.name) for row in TABLE), name
    assert all(row.meaning and row.unit for row in TABLE)
    assert len({(row.of, row.name) for row in TABLE}) == len(TABLE)


def test_the_objective_comes_first_and_what_nobody_asked_for_stays_in_the_study():
    plan = Study.model_validate({"name": "s", "trials": 1, "objective": "val/few"})
    assert list(of_epoch(ENTRY, plan)) == ["val/few", "val/accuracy", "train/loss", "lr"]
    asked = plan.model_copy(
        update={
            "objective": Study.model_validate(
                {"name": "s", "trials": 1, "objective": "val/best/few"}
            ).objective
        }
    )
    assert next(iter(of_epoch(ENTRY, asked))) == "val/best/few"


def test_a_summary_names_the_best_epoch_once():
    values = summary("best_epoch", ENTRY)
    assert values == {
        "best_epoch/epoch": 3,
        "best_epoch/accuracy": 0.123456,
        "best_epoch/few": 2 / 3,
    }


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (0.123456, 0.1235),
        (2 / 3, 0.6667),
        (12.3456789, 12.3457),
        (0.000123456, 0.0001235),
        (0.0, 0.0),
        (-0.5000001, -0.5),
        (math.inf, math.inf),
    ],
)
def test_numbers_have_four_decimals_and_small_ones_four_digits(value, sent):
    assert rounded(value) == sent


def test_what_is_no_number_stays_none():
    assert math.isnan(rounded(math.nan))
