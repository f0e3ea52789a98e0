import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import encoders
from raylt.contrast import nt_xent, unit
from raylt.methods.kcl import (
    KCL,
    Config,
    k_positive_contrastive,
    others_of_the_class,
    queued_contrastive,
)
from raylt.methods.supcon import supervised_contrastive
from raylt.nn.draw import highest, random_ranks
from tests import golden, references


def drawn(images, classes, seed, count):
    """Unit views, their classes, and the views that are drawn beside the twins."""
    generator = torch.Generator().manual_seed(seed)
    features = unit(torch.randn(images, 2, 3, generator=generator, dtype=torch.float64))
    labels = torch.randint(classes, (images,), generator=generator)
    same = others_of_the_class(labels, labels, start=0)
    ranks = random_ranks(torch.tensor(seed), torch.tensor(1), *same.shape, start=0)
    return features, labels, highest(same, ranks, count=count)


cases = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**31), st.integers(0, 4))


@given(cases, st.floats(0.05, 1))
def test_it_is_the_formula_read_slowly(case, temperature):
    features, _, chosen = drawn(*case)
    computed = k_positive_contrastive(features, chosen, temperature=temperature)
    places = [row.nonzero().flatten().tolist() for row in chosen]
    expected = references.k_positive_contrastive(
        features.flatten(0, 1).tolist(), places, temperature
    )
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-12)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**31), st.floats(0.05, 1))
def test_with_a_queue_it_is_the_formula_read_slowly(images, size, seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    queries, twins, keys = (
        unit(torch.randn(n, 3, generator=generator, dtype=torch.float64))
        for n in (images, images, size)
    )
    chosen = torch.rand(images, size, generator=generator) < 0.5
    computed = queued_contrastive(queries, twins, keys, chosen, temperature=temperature)
    places = [row.nonzero().flatten().tolist() for row in chosen]
    expected = references.queued_contrastive(
        queries.tolist(), twins.tolist(), keys.tolist(), places, temperature
    )
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", [k_positive_contrastive, queued_contrastive])
@pytest.mark.parametrize("number", [0, 1])
def test_it_is_the_golden_number(loss, number):
    case = golden.cases(loss.__name__)[number]

    def of_flat(features=None, **others):
        pairs = {} if features is None else {"features": features.unflatten(0, (-1, 2))}
        return loss(**pairs, **others)

    golden.assert_agrees(of_flat, case)


@given(cases)
def test_drawn_to_all_of_the_class_it_is_supcon(case):
    images, classes, seed, _ = case
    features, labels, chosen = drawn(images, classes, seed, 2 * images)
    assert_close(
        k_positive_contrastive(features, chosen, temperature=0.3),
        supervised_contrastive(features, labels, temperature=0.3),
    )


@given(cases)
def test_drawn_to_nobody_it_is_nt_xent(case):
    features, _, chosen = drawn(*case[:3], 0)
    computed = k_positive_contrastive(features, chosen, temperature=0.3)
    assert_close(computed, nt_xent(features[:, 0], features[:, 1], temperature=0.3))


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(case, random):
    features, _, chosen = drawn(*case)
    value = k_positive_contrastive(features, chosen, temperature=0.2)
    order = torch.tensor(random.sample(range(len(features)), len(features)))
    views = torch.stack([2 * order, 2 * order + 1], 1).flatten()
    moved = k_positive_contrastive(features[order], chosen[views][:, views], temperature=0.2)
    assert_close(moved, value)


def test_equal_rows_count_the_others():
    features, chosen = torch.ones(5, 2, 1), torch.zeros(10, 10, dtype=torch.bool)
    value = k_positive_contrastive(features, chosen, temperature=0.07)
    assert value.item() == pytest.approx(math.log(9))


@given(cases)
def test_as_many_are_drawn_as_there_are_up_to_k_and_all_of_other_images_of_the_class(case):
    images, classes, seed, count = case
    _, labels, chosen = drawn(images, classes, seed, count)
    for anchor in range(2 * images):
        computed = chosen[anchor].nonzero().flatten().tolist()
        allowed = {
            key
            for key in range(2 * images)
            if labels[key // 2] == labels[anchor // 2] and key // 2 != anchor // 2
        }
        assert set(computed) <= allowed
        assert len(computed) == min(count, len(allowed))


def built(**changes):
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return KCL(Config(**changes), net, torch.tensor([40, 9]))


def test_the_queue_holds_the_keys_of_the_last_steps_and_their_classes():
    method = built(queue=6, momentum=0.5)
    views, labels = [torch.rand(4, 1, 8, 8) for _ in range(2)], torch.tensor([0, 1, 1, 0])
    for _ in range(3):
        method(views, labels)
    assert method.queue.labels.tolist() == [1, 0, 0, 1, 1, 0]
    assert_close(method.queue.keys.norm(dim=1), torch.ones(6))


def test_predictions_move_neither_the_queue_nor_the_following_encoder():
    method = built(queue=6)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.eval()
    method.encode(torch.rand(4, 1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize("changes", [{"positives": -1}, {"queue": -1}, {"momentum": 1.0}])
def test_a_knob_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Config(**changes)
