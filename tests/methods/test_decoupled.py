import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import encoders
from raylt.methods.decoupled import Config, Decoupled, nearest_mean, normalised
from tests import references

seeds = st.integers(0, 2**31)


def drawn(images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    return torch.randn(images, 3, generator=generator, dtype=torch.float64), labels


@given(st.integers(1, 4), seeds, st.floats(0, 2))
def test_normalised_vectors_are_the_formula_read_slowly(classes, seed, tau):
    weight, _ = drawn(classes, 1, seed)
    expected = references.tau_normalised(weight.tolist(), tau)
    assert_close(normalised(weight, tau=tau).tolist(), expected)


def test_normalised_vectors_are_the_golden_numbers():
    weight = torch.tensor([[3.0, 4.0], [0.0, -16.0]], dtype=torch.float64)
    assert normalised(weight, tau=0.0).tolist() == weight.tolist()
    computed = normalised(weight, tau=0.5).tolist()
    assert computed == [pytest.approx([3 / math.sqrt(5), 4 / math.sqrt(5)]), [0.0, -4.0]]
    assert normalised(weight, tau=1.0).tolist() == [pytest.approx([0.6, 0.8]), [0.0, -1.0]]


@given(seeds, st.floats(0, 2))
def test_turning_all_class_vectors_turns_their_normalised_ones(seed, tau):
    weight, _ = drawn(4, 1, seed)
    turn, _ = torch.linalg.qr(drawn(3, 1, seed + 1)[0])
    assert_close(normalised(weight @ turn, tau=tau), normalised(weight, tau=tau) @ turn)


@given(st.integers(2, 8), st.integers(1, 3), seeds)
def test_the_nearest_mean_is_the_formula_read_slowly(images, classes, seed):
    features, labels = drawn(images, classes, seed)
    rows, _ = drawn(3, 1, seed + 1)
    computed = nearest_mean(features, labels, classes=classes)(rows)
    expected = references.nearest_mean(features.tolist(), labels.tolist(), rows.tolist(), classes)
    assert_close(computed, torch.tensor(expected, dtype=torch.float64))


def test_the_nearest_mean_is_the_golden_number():
    # The mean of all is (1, 0); from there the classes lie at (-1, 0), at (0, 1) and (1, 0) and on
    # average at (0.5, 0.5), and the row at (0, -1).
    features = torch.tensor([[-1.0, 0], [1, 1], [4, 0], [0, -1]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 2])
    computed = nearest_mean(features, labels, classes=4)(torch.tensor([[1.0, -3]]).double())
    third = [-1 / math.sqrt(2), -1 / math.sqrt(2)]
    expected = [-2, -0.25 - 2.25, -(third[0] ** 2) - (1 + third[1]) ** 2, -math.inf]
    assert computed.tolist() == [pytest.approx(expected)]


@given(seeds, st.floats(0.1, 10), st.permutations(range(3)))
def test_the_nearest_mean_knows_neither_scale_nor_origin_nor_the_order_of_classes(
    seed, scale, order
):
    features, labels = drawn(9, 3, seed)
    rows, _ = drawn(4, 1, seed + 1)
    value = nearest_mean(features, labels, classes=3)(rows)
    moved = nearest_mean(scale * features + 3, labels, classes=3)(scale * rows + 3)
    assert_close(moved, value)
    place = torch.tensor(order)
    assert_close(nearest_mean(features, place[labels], classes=3)(rows)[:, place], value)


def built(**changes):
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return Decoupled(Config(**changes), net, torch.tensor([40, 9, 3])).eval()


def test_the_choice_says_what_classifies():
    images = torch.rand(5, 1, 8, 8)
    plain = built(classifier="linear")
    features = plain.encode(images)
    assert_close(plain.classifier()(images), plain.head(features))
    half = built(classifier="tau", tau=0.5)
    lengths = half.head.weight.norm(dim=1)
    assert_close(half.classifier()(images), features @ half.head.weight.T / lengths.sqrt())
    assert plain.probe() is None
    assert half.probe() is None
    for choice in ("crt", "lws", "ncm"):
        method = built(classifier=choice)
        assert method.classifier() is None
        head = method.probe()(torch.randn(12, features.shape[1]), torch.arange(12) % 3)
        assert head(features).shape == (5, 3)


def test_the_second_stage_of_the_program_falls_in_a_cosine():
    stage = built(crt_epochs=4, crt_lr=0.4).probe().keywords
    assert stage["rates"] == pytest.approx(
        [0.4, 0.2 + math.sqrt(0.02), 0.2, 0.2 - math.sqrt(0.02)]
    )
    assert (stage["draws"], stage["batch_size"], stage["decay"]) == (None, 512, 5e-4)


def test_a_run_makes_the_same_classifier_whenever_it_is_asked():
    method = built()
    features, labels = torch.randn(12, method.encoder.width), torch.arange(12) % 3
    first, second = (method.probe()(features, labels)(features) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "changes", [{"tau": -1}, {"crt_epochs": 0}, {"crt_lr": 0}, {"classifier": "cosine"}]
)
def test_a_knob_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Config(**changes)
