import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.metrics import confusion, groups, per_class, summary
from tests import references

MEANS = ("accuracy", "many", "medium", "few")


def exponential(largest, classes, imbalance):
    return [int(largest * imbalance ** -(k / (classes - 1))) for k in range(classes)]


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        (exponential(500, 100, 100), {"many": 35, "medium": 35, "few": 30}),
        (exponential(500, 100, 50), {"many": 41, "medium": 41, "few": 18}),
        (exponential(500, 100, 10), {"many": 69, "medium": 31}),
        (exponential(5000, 10, 100), {"many": 8, "medium": 2}),
    ],
)
def test_thresholds_cut_the_cifar_sets_as_published(counts, sizes):
    cut = groups(counts, by="thresholds")
    assert {name: len(classes) for name, classes in cut.items()} == sizes


def test_thresholds_include_20_and_100_in_medium():
    cut = groups([101, 100, 20, 19, 0], by="thresholds")
    assert cut == {"many": (0,), "medium": (1, 2), "few": (3, 4)}


def test_thirds_round_down_but_for_many():
    assert {n: len(c) for n, c in groups(range(10), by="thirds").items()} == {
        "many": 4,
        "medium": 3,
        "few": 3,
    }
    assert {n: len(c) for n, c in groups(range(100), by="thirds").items()} == {
        "many": 34,
        "medium": 33,
        "few": 33,
    }


def test_thirds_break_ties_by_the_order_of_classes():
    assert groups([5, 5, 5], by="thirds") == {"many": (0,), "medium": (1,), "few": (2,)}
    assert groups([1, 9, 5], by="thirds") == {"many": (1,), "medium": (2,), "few": (0,)}
    assert groups([3, 4], by="thirds") == {"many": (0, 1)}


@given(st.lists(st.integers(0, 300), min_size=1, max_size=30))
def test_every_class_is_in_exactly_one_group(counts):
    for by in ("thresholds", "thirds"):
        cut = groups(counts, by=by)
        assert sorted(k for classes in cut.values() for k in classes) == list(range(len(counts)))
        assert all(cut.values())


@st.composite
def scored(draw):
    counts = draw(st.lists(st.integers(0, 200), min_size=1, max_size=6))
    pairs = st.tuples(*(st.integers(0, len(counts) - 1),) * 2)
    return counts, draw(st.lists(pairs, max_size=30))


@given(scored())
def test_accuracy_is_the_rule_read_slowly(drawn):
    counts, pairs = drawn
    predictions, labels = [p for p, _ in pairs], [y for _, y in pairs]
    numbers = summary(predictions, labels, counts)
    named = {name: numbers[name] for name in MEANS if name in numbers}
    assert named == pytest.approx(references.shot_accuracy(predictions, labels, counts))


@given(scored(), st.randoms(use_true_random=False))
def test_neither_the_order_of_images_nor_the_names_of_classes_matter(drawn, random):
    counts, pairs = drawn
    names = random.sample(range(len(counts)), len(counts))
    other = [(names[p], names[y]) for p, y in random.sample(pairs, len(pairs))]
    renamed = [counts[names.index(k)] for k in range(len(counts))]
    first = [p for p, _ in pairs], [y for _, y in pairs]
    second = [p for p, _ in other], [y for _, y in other]
    one, two = summary(*first, counts), summary(*second, renamed)
    for name in MEANS:
        assert one.get(name) == pytest.approx(two.get(name))
    shares = per_class(*first, len(counts))
    np.testing.assert_array_equal(per_class(*second, len(counts))[names], shares)


def test_groups_weigh_their_classes_alike():
    labels = [0, 0, 0, 0, 1, 2, 2]
    predictions = [0, 0, 0, 1, 1, 2, 0]
    assert per_class(predictions, labels, 3).tolist() == [0.75, 1.0, 0.5]
    numbers = summary(predictions, labels, [200, 150, 5])
    assert {name: numbers.get(name) for name in MEANS} == {
        "accuracy": 0.75,
        "many": 0.875,
        "medium": None,
        "few": 0.5,
    }


def test_a_class_without_a_test_image_has_no_accuracy():
    np.testing.assert_array_equal(per_class([0, 1], [0, 0], 2), [0.5, np.nan])
    numbers = summary([0, 1], [0, 0], [200, 50])
    assert "medium" not in numbers
    assert numbers["accuracy"] == 0.5


def test_nothing_to_score_is_nothing_found():
    assert summary([], [], [200, 5]) == {}


def test_the_summary_names_what_there_is():
    labels = [0, 0, 1, 1, 2, 2]
    predictions = [0, 0, 1, 0, 2, 0]
    numbers = summary(predictions, labels, [200, 150, 5])
    assert numbers == pytest.approx(
        {
            "accuracy": 2 / 3,
            "many": 0.75,
            "few": 0.5,
            "thirds/many": 1.0,
            "thirds/medium": 0.5,
            "thirds/few": 0.5,
            "worst": 0.5,
            "harmonic": 3 / (1 + 2 + 2),
            "std": np.std([1.0, 0.5, 0.5]),
            "thirds/std": np.std([1.0, 0.5, 0.5]),
        }
    )


def test_each_cut_of_the_classes_has_a_spread_of_its_own():
    labels = np.repeat(np.arange(4), 4)
    predictions = np.where(np.arange(16) % 4 < labels + 1, labels, (labels + 1) % 4)
    numbers = summary(predictions, labels, [15, 110, 150, 30])
    # The classes are hit for 0.25 (few), 0.5, 0.75 (many) and 1 (medium).
    assert numbers["shots/std"] == pytest.approx(np.std([0.25, 0.625, 1.0]))
    # The larger third is rounded up: two classes, then one and one.
    assert numbers["thirds/std"] == pytest.approx(np.std([0.625, 1.0, 0.25]))
    other = summary(predictions, labels, [110, 150, 200, 30])
    assert "shots/std" not in other
    assert other["std"] == other["thirds/std"] == pytest.approx(np.std([0.625, 0.25, 1.0]))
    # As published for ImageNet-100-LT: 70.10/65.04/60.92.
    assert np.std([70.10, 65.04, 60.92]) == pytest.approx(3.75, abs=0.005)


def test_the_harmonic_mean_is_zero_where_a_class_is_always_missed():
    numbers = summary([0, 0], [0, 1], [200, 5])
    assert numbers["harmonic"] == 0
    assert numbers["worst"] == 0


def test_on_a_balanced_set_all_is_the_share_of_hits():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 11)
    predictions = rng.integers(0, 7, len(labels))
    numbers = summary(predictions, labels, [10] * 7)
    assert numbers["accuracy"] == pytest.approx((predictions == labels).mean())


def test_confusion_counts_truth_by_row():
    assert confusion([1, 1, 0], [0, 1, 0], 2).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [([0], [0, 1], "equal length"), ([2], [0], "0..1"), ([0], [-1], "0..1")],
)
def test_what_is_no_prediction_is_refused(predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        confusion(predictions, labels, 2)
