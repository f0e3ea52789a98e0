import copy

import pytest
import torch
from torch.testing import assert_close

from raylt import contrast, encoders
from raylt.methods.sdclr import SDCLR, Config, nt_xent
from raylt.methods.simclr import Config as SimCLRConfig
from raylt.methods.simclr import SimCLR

VIEWS = list(
    torch.rand(2, 8, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
)
LABELS = torch.zeros(8, dtype=torch.int64)


def built(**changes):
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return SDCLR(Config(out_dim=8, **changes), net, torch.tensor([5, 3])).double()


def gradients(method):
    return {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


def test_the_loss_stands_under_the_methods_name():
    assert nt_xent is contrast.nt_xent


@pytest.mark.parametrize("own_norms", [True, False])
@pytest.mark.parametrize("depth", [2, 3])
def test_the_joint_gradient_is_that_of_the_published_two_passes(own_norms, depth):
    method = built(own_norms=own_norms, head_depth=depth)
    method.begin_epoch(0)
    twice = copy.deepcopy(method)

    method(VIEWS, LABELS)["contrast"].backward()

    # The published step: the competitor held fixed, then the target held fixed.
    with torch.no_grad():
        fixed = twice.competitor(VIEWS[1])
    target = twice.head(twice.encoder(VIEWS[0]))
    nt_xent(target, fixed, temperature=0.2).backward()
    nt_xent(target.detach(), twice.competitor(VIEWS[1]), temperature=0.2).backward()

    expected = gradients(twice)
    computed = gradients(method)
    assert computed.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (computed[name] - gradient).abs().max() <= 1e-10, name


def test_the_term_is_nt_xent_of_both_branches():
    method = built()
    method.begin_epoch(0)
    computed = method(VIEWS, LABELS)["contrast"]
    first = method.head(method.encoder(VIEWS[0]))
    assert_close(computed, nt_xent(first, method.competitor(VIEWS[1]), temperature=0.2))


def test_the_mask_is_renewed_every_epoch_or_as_seldom_as_asked():
    for refresh, renewed in ((1, [True, True, True]), (3, [True, False, False])):
        method = built(refresh=refresh)
        collected = []
        for epoch in range(3):
            before = [mask.clone() for mask in method.competitor.masks.buffers()]
            with torch.no_grad():
                for weight in method.competitor.weights():
                    weight += torch.randn_like(weight)
            method.begin_epoch(epoch)
            after = method.competitor.masks.buffers()
            collected.append(any((a != b).any() for a, b in zip(before, after, strict=True)))
        assert collected == renewed


def share_hidden(method):
    masks = list(method.competitor.masks.buffers())
    return sum(int((~mask).sum()) for mask in masks) / sum(mask.numel() for mask in masks)


@pytest.mark.parametrize("random_share", [0, 0.3, 1])
def test_the_total_share_is_hidden_however_it_is_chosen(random_share):
    method = built(prune=0.6, random_share=random_share)
    method.begin_epoch(0)
    assert share_hidden(method) == pytest.approx(0.6, abs=0.01)


def test_chance_draws_anew_each_epoch_and_the_same_in_an_equal_run():
    masks = []
    for epoch in (0, 1, 0):
        method = built(prune=0.5, random_share=1.0)
        method.begin_epoch(epoch)
        masks.append([mask.clone() for mask in method.competitor.masks.buffers()])
    assert any((a != b).any() for a, b in zip(masks[0], masks[1], strict=True))
    assert all((a == b).all() for a, b in zip(masks[0], masks[2], strict=True))


def test_without_pruning_and_own_norms_it_is_two_batches_of_simclr():
    method = built(prune=0.0, own_norms=False)
    method.begin_epoch(0)
    first, second = (method.head(method.encoder(view)) for view in VIEWS)
    assert_close(method(VIEWS, LABELS)["contrast"], nt_xent(first, second, temperature=0.2))


def test_simclr_normalises_both_views_as_one_batch():
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    method = SimCLR(SimCLRConfig(out_dim=8), net, torch.tensor([5, 3])).double()
    first, second = method.head(method.encoder(torch.cat(VIEWS))).chunk(2)
    assert_close(method(VIEWS, LABELS)["contrast"], nt_xent(first, second, temperature=0.2))


def test_scores_see_the_dense_branch_alone():
    method = built()
    method.begin_epoch(0)
    method(VIEWS, LABELS)
    method.eval()
    before = method.encode(VIEWS[0])
    for tensor in method.competitor.state_dict().values():
        tensor.zero_()
    assert_close(method.encode(VIEWS[0]), before, rtol=0, atol=0)
    assert method.classifier() is None


@pytest.mark.parametrize("prune", [-0.1, 1.0, 1.5, float("nan"), True])
def test_a_pruning_ratio_out_of_range_is_refused(prune):
    with pytest.raises(ValueError, match="prune"):
        Config(prune=prune)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        Config(temperature=temperature)


def test_random_masks_follow_the_loaded_seed():
    first, second = (built(prune=0.5, random_share=1.0) for _ in range(2))
    state = first.state_dict() | {"seed": torch.tensor(7)}
    second.load_state_dict(state)
    first.begin_epoch(3)
    second.begin_epoch(3)
    assert not _equal_masks(first, second)
    first.load_state_dict(state)
    first.begin_epoch(3)
    assert _equal_masks(first, second)


def _equal_masks(first, second):
    masks = [method.competitor.masks.buffers() for method in (first, second)]
    return all(torch.equal(*pair) for pair in zip(*masks, strict=True))
