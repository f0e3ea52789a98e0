import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from raylt.nn.shares import in_shares


def built():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.BatchNorm1d(2))


def test_every_part_has_statistics_of_its_own_and_the_first_ones_stay():
    module, rows = built(), torch.randn(12, 3)
    copies = [copy.deepcopy(module) for _ in range(4)]
    expected = [copied(part) for copied, part in zip(copies, rows.chunk(4), strict=True)]
    result = in_shares(module, rows, 4)
    assert_close(result, torch.cat(expected))
    for name, buffer in module.named_buffers():
        assert_close(buffer, dict(copies[0].named_buffers())[name])


def test_the_gradient_is_the_sum_over_the_parts():
    module, rows = built(), torch.randn(12, 3)
    copies = [copy.deepcopy(module) for _ in range(3)]
    in_shares(module, rows, 3).square().sum().backward()
    for part, copied in zip(rows.chunk(3), copies, strict=True):
        copied(part).square().sum().backward()
    for name, parameter in module.named_parameters():
        parts = [dict(copied.named_parameters())[name].grad for copied in copies]
        assert_close(parameter.grad, torch.stack(parts).sum(0))


def test_one_part_is_the_module_itself_and_evaluation_knows_no_parts():
    module, rows = built(), torch.randn(12, 3)
    assert torch.equal(in_shares(module, rows, 1), copy.deepcopy(module)(rows))
    module.eval()
    assert_close(in_shares(module, rows, 4), module(rows))


@pytest.mark.parametrize(("rows", "shares"), [(3, 4), (15, 8), (9, 2)])
def test_no_part_is_too_small_to_be_normalised(rows, shares):
    result = in_shares(built(), torch.randn(rows, 3), shares)
    assert result.shape == (rows, 2)
    assert result.isfinite().all()
