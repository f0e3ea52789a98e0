import math
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import contrast
from tests import golden, references

seeds = st.integers(0, 2**31)
temperatures = st.floats(0.05, 2)


def rows(images, dim, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, images, dim, generator=generator, dtype=torch.float64)


@given(st.integers(1, 6), st.integers(1, 5), seeds, temperatures)
def test_nt_xent_is_the_formula_read_slowly(images, dim, seed, temperature):
    first, second = rows(images, dim, seed)
    expected = references.nt_xent(first.tolist(), second.tolist(), temperature)
    computed = contrast.nt_xent(first, second, temperature=temperature)
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", golden.cases("nt_xent"))
def test_nt_xent_is_the_golden_number(case):
    golden.assert_agrees(contrast.nt_xent, case)


@given(st.integers(2, 6), seeds, temperatures, st.randoms(use_true_random=False))
def test_nt_xent_does_not_know_order_sides_or_lengths(images, seed, temperature, random):
    first, second = rows(images, 3, seed)
    value = contrast.nt_xent(first, second, temperature=temperature)
    order = random.sample(range(images), images)
    assert_close(contrast.nt_xent(first[order], second[order], temperature=temperature), value)
    assert_close(contrast.nt_xent(second, first, temperature=temperature), value)
    assert_close(contrast.nt_xent(7 * first, 0.1 * second, temperature=temperature), value)


@given(st.integers(1, 20), temperatures)
def test_nt_xent_of_equal_rows_counts_the_others(images, temperature):
    same = torch.ones(images, 4, dtype=torch.float64)
    computed = contrast.nt_xent(same, same, temperature=temperature)
    assert_close(computed.item(), math.log(2 * images - 1))


@given(st.integers(1, 4), st.integers(1, 3), seeds)
def test_the_mean_of_the_workers_is_the_whole_batch(images, workers, seed):
    first, second = rows(images * workers, 3, seed)
    everyone = contrast.unit(torch.stack([first, second], 1))
    gather, rank = mock.Mock(return_value=everyone), mock.Mock(side_effect=range(workers))
    with mock.patch.multiple(contrast, gather=gather, rank=rank):
        parts = [
            contrast.nt_xent(*own, temperature=0.3)
            for own in zip(first.split(images), second.split(images), strict=True)
        ]
    whole = contrast.nt_xent(first, second, temperature=0.3)
    assert_close(torch.stack(parts).mean(), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_nt_xent_of_a_tiny_temperature_is_finite_in_every_dtype(dtype):
    first, second = rows(8, 4, 0).to(dtype).requires_grad_()
    loss = contrast.nt_xent(first, second, temperature=0.001)
    assert loss.dtype == torch.float32
    assert loss.isfinite()


def test_autocast_does_not_reach_the_loss():
    first, second = rows(8, 4, 0).float()
    expected = contrast.nt_xent(first, second, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(contrast.nt_xent(first, second, temperature=0.1), expected)


def test_log_softmax_is_over_the_allowed_keys():
    similarity = torch.tensor([[0.0, 1.0, 2.0], [3.0, 3.0, 3.0]])
    allowed = torch.tensor([[True, True, False], [True, True, True]])
    computed = contrast.log_softmax(similarity, allowed)
    assert_close(computed[0, :2], torch.tensor([0.0, 1.0]).log_softmax(0))
    assert_close(computed[1].exp().sum(), torch.tensor(1.0))


def test_an_anchor_without_a_positive_is_left_out_of_the_mean():
    log_prob = torch.tensor([[-1.0, -3.0], [-5.0, -7.0]])
    positive = torch.tensor([[True, True], [False, False]])
    assert contrast.mean_over_positives(log_prob, positive) == -2
    assert contrast.mean_over_positives(log_prob, ~positive & positive) == 0


def test_a_zero_row_has_a_finite_gradient():
    row = torch.zeros(1, 3, requires_grad=True)
    contrast.unit(row).sum().backward()
    assert row.grad is not None
    assert row.grad.isfinite().all()
