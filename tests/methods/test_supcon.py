import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt.contrast import nt_xent, unit
from raylt.methods.supcon import supervised_contrastive
from tests import golden, references


def drawn(images, views, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(images, views, 3, generator=generator, dtype=torch.float64)
    return unit(features), torch.randint(classes, (images,), generator=generator)


@given(
    st.integers(1, 5),
    st.integers(1, 2),
    st.integers(1, 4),
    st.integers(0, 2**31),
    st.floats(0.05, 1),
)
def test_it_is_the_formula_read_slowly(images, views, classes, seed, temperature):
    features, labels = drawn(images, views, classes, seed)
    expected = references.supervised_contrastive(
        features.flatten(0, 1).tolist(), labels.repeat_interleave(views).tolist(), temperature
    )
    computed = supervised_contrastive(features, labels, temperature=temperature)
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", golden.cases("supervised_contrastive"))
def test_it_is_the_golden_number(case):
    def of_flat(features, labels, **others):
        return supervised_contrastive(features.unflatten(0, (-1, 2)), labels[::2], **others)

    golden.assert_agrees(of_flat, case)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_with_a_class_for_each_image_it_is_nt_xent(images, seed):
    features, _ = drawn(images, 2, 1, seed)
    computed = supervised_contrastive(features, torch.arange(images), temperature=0.3)
    assert_close(computed, nt_xent(features[:, 0], features[:, 1], temperature=0.3))


@given(st.integers(2, 5), st.integers(0, 2**31), st.randoms(use_true_random=False))
def test_the_order_of_images_and_views_does_not_matter(images, seed, random):
    features, labels = drawn(images, 2, 3, seed)
    value = supervised_contrastive(features, labels, temperature=0.2)
    order = random.sample(range(images), images)
    assert_close(supervised_contrastive(features[order], labels[order], temperature=0.2), value)
    assert_close(supervised_contrastive(features.flip(1), labels, temperature=0.2), value)


def test_equal_rows_count_the_others():
    features = torch.ones(5, 2, 1)
    value = supervised_contrastive(features, torch.tensor([0, 0, 1, 2, 2]), temperature=0.1)
    assert_close(value.item(), math.log(9), rtol=1e-5, atol=0)


def test_a_single_image_has_a_finite_gradient():
    features, labels = drawn(1, 1, 1, 0)
    features.requires_grad_()
    value = supervised_contrastive(features, labels, temperature=0.1)
    value.backward()
    assert value == 0
    assert features.grad.isfinite().all()
