import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.space import revision
from tests.study.drive import toy


@pytest.mark.parametrize(
    "override",
    [
        "method.temperature={low: 0.01, high: 1.0, log: true}",
        "method.prune={low: 0.05, high: 0.99}",
        "study.trials=40",
        "study.scheduler={name: median}",
        "study.sampler={name: random}",
        "study.budget={wall_clock: 2h}",
        "study.confirm={top: 1}",
        "study.baseline.values={method.temperature: 0.3, method.prune: 0.9}",
    ],
)
def test_wider_ranges_and_another_way_of_searching_keep_the_trials(tmp_path, override):
    changes = revision.changes(toy(tmp_path), toy(tmp_path, override))
    assert {change.refusal for change in changes} == {""}
    assert all(" -> " in str(change) for change in changes)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ([], ["method.prune={low: 0.2, high: 0.99}"], "narrower"),
        ([], ["method.prune={low: 0.1, high: 0.99, log: true}"], "log scale"),
        ([], ["method.prune={choices: [0.1, 0.9]}"], "drawn differently"),
        ([], ["method.prune=0.5"], "opened or closed"),
        (
            ["study.baseline=null"],
            ["study.baseline=null", "optimizer.lr={low: 0.1, high: 1.0}"],
            "opened or closed",
        ),
        ([], ["epochs=7"], "same in all trials"),
        ([], ["study.name=other"], "what the results"),
        ([], ["study.objective=val/few"], "what the results"),
        ([], ["study.warm_start=[other]"], "queued when a study begins"),
        ([], ['study.require=["method.prune > 0.2"]'], "what the results"),
        (["method.prune={choices: [0.5, 0.9]}"], ["method.prune={choices: [0.7, 0.9]}"], "0.5"),
        (
            ["method.prune={low: 0.1, high: 0.9, step: 0.2}"],
            ["method.prune={low: 0.1, high: 0.9, step: 0.4}"],
            "step",
        ),
        (
            [
                "method.temperature={choices: [0.2, 0.3]}",
                "method.prune={choices: [0.9]}",
                "study.sampler.name=grid",
            ],
            [
                "method.temperature={choices: [0.2, 0.3, 0.4]}",
                "method.prune={choices: [0.9]}",
                "study.sampler.name=grid",
            ],
            "grid",
        ),
    ],
)
def test_whatever_changes_the_meaning_of_a_trial_is_refused(tmp_path, before, after, reason):
    space = revision.changes(toy(tmp_path, *before), toy(tmp_path, *after))
    assert any(reason in change.refusal for change in space), space


def test_a_scheduler_differs_by_its_keys(tmp_path):
    before = toy(tmp_path, "study.scheduler={name: asha, grace: 2, factor: 3}")
    after = toy(tmp_path, "study.scheduler={name: asha, grace: 4, factor: 3}")
    (change,) = revision.changes(before, after)
    assert str(change) == "study.scheduler.grace: 2 -> 4"
    after = toy(tmp_path, "study.constraints=[{metric: val/few, min: 0.7}]")
    (change,) = revision.changes(toy(tmp_path), after)
    assert (change.before, change.after) == ("[]", "[{metric: 'val/few', min: '0.7'}]")


def test_a_space_does_not_differ_from_itself(tmp_path):
    assert revision.changes(toy(tmp_path), toy(tmp_path)) == ()


@given(
    st.floats(0.01, 0.5),
    st.floats(0.51, 0.99),
    st.floats(0.0, 0.5),
    st.floats(0.5, 0.999),
    st.randoms(use_true_random=False),
)
def test_every_point_of_before_is_a_point_of_a_space_that_is_not_refused(
    tmp_path_factory, low, high, new_low, new_high, rng
):
    folder = tmp_path_factory.getbasetemp()
    pair = "study.baseline=null"
    old = toy(folder, pair, f"method.prune={{low: {low!r}, high: {high!r}}}")
    new = toy(folder, pair, f"method.prune={{low: {new_low!r}, high: {new_high!r}}}")
    refused = any(change.refusal for change in revision.changes(old, new))
    assert refused == (new_low > low or new_high < high)
    if not refused:
        assert new.refusal(old.draw(random.Random(rng.random()))) is None
