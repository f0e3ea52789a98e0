import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from raylt import encoders
from raylt.nn.masked import Competitor, magnitude_masks, random_masks
from tests import references


def weights(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def network():
    torch.manual_seed(0)
    return encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,)).double()


PICTURES = torch.rand(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("ratio", "hidden"), [(0.0, 0), (0.3, 238), (0.5, 396), (0.9, 713), (0.99, 785), (1.0, 791)]
)
def test_exactly_the_rounded_up_share_is_hidden(ratio, hidden):
    masks = magnitude_masks(weights((8, 9, 3, 3), (16, 9, 1, 1)), ratio)
    assert [mask.shape for mask in masks] == [(8, 9, 3, 3), (16, 9, 1, 1)]
    assert all(mask.dtype == torch.bool for mask in masks)
    assert sum(int((~mask).sum()) for mask in masks) == hidden


@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=30),
    st.integers(1, 29),
    st.floats(0, 1),
)
def test_masks_are_the_rule_read_slowly_also_with_ties(values, cut, ratio):
    expected = references.kept_by_magnitude(values, ratio)
    parts = [part for part in torch.tensor(values).float().tensor_split([cut]) if len(part)]
    assert torch.cat(magnitude_masks(parts, ratio)).tolist() == expected


@given(st.integers(0, 2**31), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_larger_share_hides_what_a_smaller_one_hides(seed, one, other):
    drawn = weights((20,), (5, 6), seed=seed)
    less, more = sorted((one, other))
    for kept, fewer in zip(
        magnitude_masks(drawn, less), magnitude_masks(drawn, more), strict=True
    ):
        assert not (fewer & ~kept).any()


def test_the_threshold_is_global_and_by_magnitude():
    large, small = torch.tensor([-9.0, 8, 7]), torch.tensor([0.1, -0.2, 0.3])
    masks = magnitude_masks([large, small], 0.5)
    assert masks[0].all()
    assert not masks[1].any()


def test_chance_hides_the_rest_of_the_share():
    drawn = weights((64, 64, 3, 3), (64, 64))
    total = sum(weight.numel() for weight in drawn)
    masks = random_masks(drawn, magnitude=0.2, random=0.1, generator=torch.Generator())
    hidden = sum(int((~mask).sum()) for mask in masks)
    # The expected share is 0.2 + 0.1; four standard deviations of a binomial.
    assert abs(hidden / total - 0.3) < 4 * math.sqrt(0.125 * 0.875 / total)
    for mask, kept in zip(masks, magnitude_masks(drawn, 0.2), strict=True):
        assert not (mask & ~kept).any()


def test_chance_alone_does_not_look_at_magnitude():
    drawn = weights((400, 400))
    (mask,) = random_masks(drawn, magnitude=0.0, random=0.5, generator=torch.Generator())
    kept, hidden = drawn[0][mask].abs().mean(), drawn[0][~mask].abs().mean()
    assert_close(kept, hidden, rtol=0.02, atol=0)


def test_a_tiny_network_may_lose_everything_but_not_the_run():
    masks = random_masks(weights((3,)), magnitude=0.9, random=0.05, generator=torch.Generator())
    assert not masks[0].any()


def test_the_same_generator_draws_the_same_masks():
    first, second = (
        random_masks(
            weights((40,)), magnitude=0.0, random=0.5, generator=torch.Generator().manual_seed(7)
        )
        for _ in range(2)
    )
    assert (first[0] == second[0]).all()


@pytest.mark.parametrize("own_norms", [True, False])
def test_with_nothing_hidden_and_equal_norms_the_branches_are_equal(own_norms):
    net = network()
    competitor = Competitor(net, own_norms=own_norms).double()
    assert_close(competitor(PICTURES), net(PICTURES), rtol=0, atol=0)


def test_hidden_weights_are_as_zero_and_get_no_gradient():
    net = network()
    head = nn.Sequential(nn.Linear(net.width, 4), nn.BatchNorm1d(4)).double()
    competitor = Competitor(net, head, own_norms=True).double()
    masks = magnitude_masks(competitor.weights(), 0.7)
    competitor.hide(masks)
    found = competitor(PICTURES)
    found.square().sum().backward()
    for weight, mask in zip(competitor.weights(), masks, strict=True):
        assert (weight.grad[~mask] == 0).all()
        assert (weight.grad[mask] != 0).any()
    with torch.no_grad():
        for weight, mask in zip(competitor.weights(), masks, strict=True):
            weight[~mask] = 0
    assert_close(head(net(PICTURES)), found)


def test_hidden_weights_come_back():
    net = network()
    competitor = Competitor(net, own_norms=True)
    competitor.hide(magnitude_masks(competitor.weights(), 0.9))
    competitor.hide(magnitude_masks(competitor.weights(), 0.0))
    assert all(mask.all() for mask in competitor.masks.buffers())


def test_own_norms_keep_their_own_statistics_and_gradients():
    net = network()
    competitor = Competitor(net, own_norms=True).double()
    before = {name: tensor.clone() for name, tensor in net.named_buffers()}
    competitor(PICTURES).square().sum().backward()
    assert all((tensor == before[name]).all() for name, tensor in net.named_buffers())
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.weight.grad is None for norm in norms)
    for norm in competitor.norms.values():
        assert norm.num_batches_tracked == 1
        assert norm.running_mean.abs().sum() > 0
        assert norm.weight.grad is not None


def test_shared_norms_are_updated_by_both_branches():
    net = network()
    competitor = Competitor(net, own_norms=False).double()
    net(PICTURES)
    competitor(PICTURES)
    counts = {int(t) for name, t in net.named_buffers() if name.endswith("tracked")}
    assert counts == {2}
    assert not list(competitor.parameters())


def test_masks_are_state_and_the_shared_weights_are_not():
    net = network()
    competitor = Competitor(net, own_norms=True).double()
    competitor.hide(magnitude_masks(competitor.weights(), 0.5))
    state = competitor.state_dict()
    assert sum(t.numel() for t in state.values() if t.dtype == torch.bool) == sum(
        weight.numel() for weight in competitor.weights()
    )
    fresh = Competitor(net, own_norms=True).double()
    fresh.load_state_dict(state)
    assert_close(fresh.eval()(PICTURES), competitor.eval()(PICTURES), rtol=0, atol=0)


def test_masks_follow_the_layout_of_the_weights():
    net = network()
    competitor = Competitor(net, own_norms=True)
    both = nn.ModuleList([net, competitor]).to(memory_format=torch.channels_last)
    competitor.hide(magnitude_masks(competitor.weights(), 0.5))
    masks = list(both[1].masks.buffers())
    strides = [weight.stride() for weight in competitor.weights()]
    assert [mask.stride() for mask in masks] == strides


@pytest.mark.gpu
def test_a_gpu_finds_the_same_masks():
    drawn = weights((64, 64, 3, 3), (64, 64))
    on_gpu = magnitude_masks([weight.cuda() for weight in drawn], 0.9)
    for mask, other in zip(magnitude_masks(drawn, 0.9), on_gpu, strict=True):
        assert (mask == other.cpu()).all()
