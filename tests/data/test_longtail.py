from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.data.longtail import (
    exponential_counts,
    hold_out,
    pareto_counts,
    step_counts,
    subsample,
)
from raylt.schema import InputError
from tests.data.made import Toy, parts, shown


@pytest.mark.parametrize(
    ("largest", "classes", "imbalance", "total"),
    [
        (5000, 10, 100, 12_406),
        (5000, 10, 50, 13_996),
        (5000, 10, 10, 20_431),
        (500, 100, 100, 10_847),
        (500, 100, 50, 12_608),
        (500, 100, 10, 19_573),
        (4500, 10, 100, 11_165),  # SDCLR's D_i, after a tenth of each class went to validation
        (450, 100, 100, 9_754),
    ],
)
def test_exponential_tails_have_the_published_sizes(largest, classes, imbalance, total):
    assert sum(exponential_counts(largest, classes, imbalance)) == total


def test_the_published_class_sizes_of_sdclr_on_cifar10():
    expected = (4500, 2697, 1617, 969, 581, 348, 208, 125, 75, 45)
    assert exponential_counts(4500, 10, 100) == expected


@given(
    law=st.sampled_from(["exponential", "pareto", "step"]),
    largest=st.integers(1, 5000),
    classes=st.integers(2, 200),
    imbalance=st.floats(1, 1000),
)
def test_every_law_falls_from_the_largest_class_to_the_imbalance(law, largest, classes, imbalance):
    counts = {
        "exponential": lambda: exponential_counts(largest, classes, imbalance),
        "pareto": lambda: pareto_counts(largest, classes, imbalance, power=6),
        "step": lambda: step_counts(largest, classes, imbalance),
    }[law]()
    assert len(counts) == classes
    assert counts[0] == largest
    assert list(counts) == sorted(counts, reverse=True)
    assert abs(counts[-1] - largest / imbalance) <= 1


def test_a_pareto_tail_resembles_imagenet100_lt():
    # 1280 ... 6 images, many/medium/few 39/48/13, the second class with about half of the first.
    counts = np.array(pareto_counts(1280, 100, 1280 / 6, power=6))
    assert counts[-1] == 6
    groups = ((counts > 100).sum(), ((counts >= 20) & (counts <= 100)).sum(), (counts < 20).sum())
    assert np.abs(np.array(groups) - (39, 48, 13)).max() <= 20


def test_a_step_keeps_the_first_half_of_the_classes():
    assert step_counts(500, 5, 10) == (500, 500, 50, 50, 50)


def test_subsample_is_the_rule_of_the_field_read_slowly():
    labels = np.random.default_rng(0).integers(0, 4, 200)
    counts = (20, 9, 4, 1)
    np.random.seed(7)  # the original draws from numpy's global state
    expected = []
    for k, count in enumerate(counts):
        members = np.where(labels == k)[0]
        np.random.shuffle(members)
        expected.extend(members[:count])
    np.testing.assert_array_equal(subsample(labels, counts, 7), expected)


def test_subsample_keeps_its_numbers():
    # Worked out with NumPy 2.4; its RandomState never changes its stream.
    labels = np.array([0, 1] * 8)
    assert subsample(labels, (5, 3), 0).tolist() == [12, 4, 2, 14, 6, 3, 13, 7]
    assert subsample(labels, (5, 3), 10).tolist() == [4, 6, 12, 14, 0, 7, 9, 13]


@given(st.lists(st.integers(1, 15), min_size=3, max_size=3), st.integers(0, 2**32 - 1))
def test_a_smaller_tail_lies_within_a_larger_one(counts, seed):
    labels = np.arange(60) % 3
    larger = subsample(labels, [c + 5 for c in counts], seed)
    smaller = subsample(labels, counts, seed)
    assert set(smaller) <= set(larger)
    np.testing.assert_array_equal(np.bincount(labels[smaller]), counts)


def test_a_class_without_images_is_named_with_its_count():
    with pytest.raises(InputError, match=r"class 2 is left with 0 of at most 5"):
        subsample(np.arange(30) % 3, (5, 2, 0), 0)
    with pytest.raises(InputError, match=r"class 1 must have 11 images .* but has 10"):
        subsample(np.arange(30) % 3, (5, 11, 3), 0)
    with pytest.raises(InputError, match="class 0 must have 11 images"):
        hold_out(np.arange(30) % 3, [11, 0, 0])


def test_an_impossible_imbalance_is_refused_before_anything_is_read():
    class Small(Toy):
        pool: ClassVar = (10, 20)

    assert min(Small(imbalance=20.0).train_counts()) == 1
    with pytest.raises(ValueError, match="class 9 is left with 0"):
        Small(imbalance=21.0)
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Small(imbalance=0.1)


@given(st.integers(1, 5), st.sampled_from(["exponential", "pareto", "step"]))
def test_a_split_permutes_the_classes(split, law):
    plain, permuted = Toy(law=law), Toy(law=law, split=split)
    count = plain.tail_counts(largest=500, classes=10)
    other = permuted.tail_counts(largest=500, classes=10)
    assert count != other
    assert sorted(count) == sorted(other)
    assert permuted.tail_counts(largest=500, classes=10) == other


def test_no_training_image_is_a_validation_image():
    cut = parts(validation=10)
    assert np.bincount(cut.validation.labels).tolist() == [10, 10, 10]
    assert cut.train_counts == (50, 20, 5)
    assert len(cut.balanced) == 240 - 30
    for part in (cut.train, cut.balanced, cut.few_shot):
        assert not shown(part) & shown(cut.validation)


def test_few_shot_labels_are_four_a_class_and_seen_in_training():
    cut = parts(validation=10)
    assert np.bincount(cut.few_shot.labels).tolist() == [4, 4, 4]
    assert shown(cut.few_shot) <= shown(cut.train)


def test_few_shot_labels_go_beyond_the_tail_only_where_it_ends():
    cut = parts(validation=10, counts=(50, 20, 2), few_shot=6)
    seen = [int((part.labels == 2).sum()) for part in (cut.train, cut.few_shot)]
    assert seen == [2, 6]
    assert len(shown(cut.few_shot) & shown(cut.train)) == 6 + 6 + 2


def test_as_many_few_shot_labels_as_are_asked_for():
    plain, more = parts(validation=10), parts(validation=10, few_shot=5)
    assert np.bincount(more.few_shot.labels).tolist() == [5, 5, 5]
    assert shown(plain.few_shot) < shown(more.few_shot)
    few = parts(validation=10, few_shot=100).few_shot
    assert np.bincount(few.labels).tolist() == [70, 70, 70]  # all that are left of 80


def test_as_many_labels_of_a_full_shot_probe_as_are_asked_for():
    cut, other = (parts(validation=10, balanced=30, split=split) for split in (0, 3))
    assert np.bincount(cut.balanced.labels).tolist() == [30, 30, 30]
    assert shown(cut.balanced) == shown(other.balanced)
    assert not shown(cut.balanced) & shown(cut.validation)
    with pytest.raises(InputError, match="class 0 must have 71 images"):
        parts(validation=10, balanced=71)


def test_each_split_has_images_of_its_own_and_the_same_validation():
    cuts = [parts(validation=10, split=split) for split in range(6)]
    assert len({tuple(sorted(shown(cut.train))) for cut in cuts}) == 6
    assert len({tuple(sorted(shown(cut.validation))) for cut in cuts}) == 1
    for cut in cuts:
        assert shown(cut.few_shot) <= shown(cut.train)
    last = parts(validation=10, split=1, tail_seed=2**32 - 1)
    assert shown(last.train) == shown(cuts[0].train)


def test_the_published_tail_is_trained_on_whole_without_validation():
    cut = parts(validation=0)
    assert len(cut.validation) == 0
    assert len(cut.balanced) == 240
    np.testing.assert_array_equal(cut.train.labels, np.repeat([0, 1, 2], (50, 20, 5)))


def test_validation_does_not_depend_on_the_tail():
    assert shown(parts(validation=10, counts=(9, 8, 7)).validation) == shown(
        parts(validation=10).validation
    )
