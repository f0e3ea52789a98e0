import pytest

from raylt.study.warm_start.mapping import mapped
from tests.study.warm_start.made import new

SETTING = {"method.temperature": 0.07, "method.prune": 0.6, "method.head_depth": 2}


def test_a_leaf_that_was_not_searched_has_the_baselines_value_and_a_closed_one_keeps_its_own(
    tmp_path,
):
    assert mapped(new(tmp_path), SETTING) == {
        "method.temperature": 0.07,
        "method.prune": 0.6,
        "optimizer.lr": 0.5,
    }


def test_a_leaf_that_is_active_here_alone_has_the_baselines_value_or_the_default(tmp_path):
    share = "method.random_share={low: 0.0, high: 1.0, when: method.prune > 0.5}"
    space = new(tmp_path, share)
    assert mapped(space, SETTING)["method.random_share"] == 0.0
    assert "method.random_share" not in mapped(space, {**SETTING, "method.prune": 0.4})
    values = {**space.baseline_point, "method.random_share": 0.3}
    pairs = ", ".join(f"{path}: {value}" for path, value in values.items())
    chosen = new(tmp_path, share, f"study.baseline={{source: mine, values: {{{pairs}}}}}")
    assert mapped(chosen, SETTING)["method.random_share"] == 0.3


@pytest.mark.parametrize(("value", "expected"), [(32.0, int), (32, int)])
def test_a_whole_number_stays_one(tmp_path, value, expected):
    space = new(
        tmp_path,
        "optimizer.batch_size={low: 16, high: 128}",
        "study.baseline=published",
    )
    point = mapped(space, {**SETTING, "optimizer.batch_size": value})
    assert type(point["optimizer.batch_size"]) is expected
    assert space.refusal(point) is None
