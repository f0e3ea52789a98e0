"""Changes of classes: hand-made predictions, a slow bootstrap, and what must hold for all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.study.verdict.class_changes import Change, compare, sentence

COUNTS = (200, 150, 50, 10)


def predictions(labels, right, seeds=1):
    """Predict the first `right[k]` images of each class rightly, the others as another class."""
    result = (labels + 1) % len(right)
    for k, n in enumerate(right):
        result[np.flatnonzero(labels == k)[:n]] = k
    return np.tile(result, (seeds, 1))


def test_groups_count_classes_alike_and_add_up_by_hand():
    labels = np.repeat([0, 1, 2, 3], [40, 20, 40, 10])
    changes = compare(
        predictions(labels, [30, 10, 20, 2]), predictions(labels, [26, 10, 20, 7]), labels, COUNTS
    )
    assert [round(change.mean, 6) for change in changes.classes] == [-0.1, 0, 0, 0.5]
    assert changes.groups["many"].mean == pytest.approx(-0.05)
    assert changes.groups["medium"].mean == 0
    assert changes.groups["few"].mean == pytest.approx(0.5)
    assert changes.groups["all"].mean == pytest.approx(0.1)
    assert changes.groups["many"].images == 60
    # Four classes have one in each lower third and the rest, two, on top.
    assert changes.groups["thirds/many"].mean == pytest.approx(-0.05)
    assert (changes.winners, changes.losers) == ((3,), (0,))
    assert changes.sentence == "few +50.0 at the cost of many -5.0"


def test_the_interval_is_that_of_resampled_images():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 60)
    before, after = rng.integers(0, 2, (3, 120)), rng.integers(0, 2, (3, 120))
    changes = compare(before, after, labels, (150, 5))
    won = (after == labels).mean(0) - (before == labels).mean(0)
    draws = [won[:60][rng.integers(60, size=60)].mean() for _ in range(20_000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert changes.classes[0].mean == pytest.approx(won[:60].mean())
    assert (changes.classes[0].low, changes.classes[0].high) == pytest.approx(
        (low, high), abs=0.012
    )


@given(st.integers(1, 3), st.integers(2, 30), st.integers(0, 2**20))
def test_swapping_the_two_turns_every_sign(seeds, images, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, images)
    first, other = rng.integers(0, 4, (2, seeds, images))
    there = compare(first, other, labels, COUNTS)
    back = compare(other, first, labels, COUNTS)
    for name, change in there.groups.items():
        assert change.mean == pytest.approx(-back.groups[name].mean)
        assert change.low - 1e-9 <= change.mean <= change.high + 1e-9
    same = compare(first, first, labels, COUNTS)
    for change in filter(None, same.classes):
        # Of one or two images of a class nothing is known.
        end = 0 if change.images > 2 else 1
        assert (change.low, change.mean, change.high) == (-end, 0, end)
    assert same.sentence == "no group changed"


def test_what_has_no_test_image_is_absent():
    labels = np.zeros(10, np.int64)
    changes = compare(np.zeros((1, 10), int), np.ones((1, 10), int), labels, (50, 5))
    assert changes.classes[1] is None
    assert set(changes.groups) == {"all", "medium", "thirds/many"}
    assert changes.sentence == "medium -100.0"


def test_a_change_within_noise_says_so():
    labels = np.repeat([0, 3], 20)
    changes = compare(
        predictions(labels, [10, 0, 0, 10]), predictions(labels, [10, 0, 0, 11]), labels, COUNTS
    )
    # One image of twenty can be drawn zero times.
    assert changes.sentence == "no gain or loss of a group is shown: few +5.0"
    assert sentence({}) == "no group changed"


def test_noise_is_not_told_as_a_trade():
    def change(mean, low, high):
        return Change(mean=mean, low=low, high=high, images=100)

    sure, lost = change(0.1, 0.02, 0.2), change(-0.1, -0.2, -0.05)
    unsure = change(-0.02, -0.1, 0.1)
    assert sentence({"few": sure, "many": lost}) == "few +10.0 at the cost of many -10.0"
    assert sentence({"few": sure, "many": unsure}) == "few +10.0; not shown: many -2.0"
    assert sentence({"few": unsure, "many": unsure}) == (
        "no gain or loss of a group is shown: few -2.0, many -2.0"
    )


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(seeds, images\)"):
        compare(np.zeros((1, 3), int), np.zeros((2, 3), int), np.zeros(3, int), (3,))


def test_one_test_image_of_a_class_is_never_sure_and_its_group_is_as_sure_as_its_classes_agree():
    labels = np.arange(6)
    baseline = np.full((4, 6), 9)
    candidate = np.broadcast_to(np.where(labels < 3, labels, 9), (4, 6))
    changes = compare(baseline, candidate, labels, [9, 9, 9, 8, 8, 8])
    assert changes.winners == ()
    first = changes.classes[0]
    assert first is not None
    assert (first.mean, first.low, first.high) == (1.0, -1.0, 1.0)
    few = changes.groups["few"]
    assert few.mean == 0.5
    assert 0 < few.low < 0.5 < few.high < 1
