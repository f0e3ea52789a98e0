import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from raylt import encoders
from raylt.methods import bcl
from raylt.methods.cross_entropy import Config, CrossEntropy, logit_adjusted_cross_entropy
from tests import golden, references


def drawn(images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(images, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (images,), generator=generator)
    return logits, labels, torch.randint(0, 500, (classes,), generator=generator)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**31), st.floats(0, 2))
def test_it_is_the_formula_read_slowly(images, classes, seed, tau):
    logits, labels, counts = drawn(images, classes, seed)
    computed = logit_adjusted_cross_entropy(logits, labels, counts, tau=tau)
    expected = references.logit_adjusted_cross_entropy(
        logits.tolist(), labels.tolist(), counts.tolist(), tau
    )
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", golden.cases("logit_adjusted_cross_entropy"))
def test_it_is_the_golden_number(case):
    golden.assert_agrees(logit_adjusted_cross_entropy, case)


@given(st.integers(0, 2**31), st.floats(-50, 50))
def test_a_constant_on_all_logits_changes_nothing(seed, shift):
    logits, labels, counts = drawn(4, 5, seed)
    value = logit_adjusted_cross_entropy(logits, labels, counts, tau=1.0)
    assert_close(logit_adjusted_cross_entropy(logits + shift, labels, counts, tau=1.0), value)


@given(st.integers(0, 2**31), st.floats(0, 2), st.integers(1, 100))
def test_equal_counts_or_no_strength_are_plain_cross_entropy(seed, tau, count):
    logits, labels, counts = drawn(4, 5, seed)
    plain = functional.cross_entropy(logits, labels)
    same = torch.full((5,), count)
    assert_close(logit_adjusted_cross_entropy(logits, labels, same, tau=tau), plain)
    assert_close(logit_adjusted_cross_entropy(logits, labels, counts, tau=0.0), plain)


def test_equal_logits_cost_a_rare_class_more():
    logits, counts = torch.zeros(1, 2), torch.tensor([99, 1])
    costs = [
        logit_adjusted_cross_entropy(logits, torch.tensor([y]), counts, tau=1.0) for y in (0, 1)
    ]
    assert_close(torch.stack(costs).neg().exp(), torch.tensor([0.99, 0.01]))


def test_bcl_uses_the_same_function():
    assert bcl.logit_adjusted_cross_entropy is logit_adjusted_cross_entropy


def test_the_classifier_gives_raw_logits_of_its_own_head():
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    method = CrossEntropy(Config(classifier="cosine"), net, torch.tensor([9, 5, 1])).eval()
    images = torch.rand(4, 1, 8, 8)
    assert_close(method.classifier()(images), method.head(net(images)))
    assert method.views(Config(view="weak")) == ("weak",)
