import copy
import math

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torchvision.models import VisionTransformer

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
def test_a_larger_share_hides_what_a_smaller_one_hides(seed, first, other):
    drawn = weights((20,), (5, 6), seed=seed)
    less, more = sorted((first, other))
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
    computed = competitor(PICTURES)
    computed.square().sum().backward()
    for weight, mask in zip(competitor.weights(), masks, strict=True):
        assert (weight.grad[~mask] == 0).all()
        assert (weight.grad[mask] != 0).any()
    with torch.no_grad():
        for weight, mask in zip(competitor.weights(), masks, strict=True):
            weight[~mask] = 0
    assert_close(head(net(PICTURES)), computed)


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


# Networks of other kinds, and the ResNets as they were.

SIZE = 32
RESNETS = ("small", "resnet18", "resnet32", "resnet50", "resnext50")


def drawn(name):
    """A tiny network whose last layer is its features."""
    torch.manual_seed(0)
    match name:
        case "convnext":
            net = timm.create_model("test_convnext", num_classes=0)
        case "vit":
            net = timm.create_model("test_vit", num_classes=0, img_size=SIZE)
        case "efficientnet":
            net = timm.create_model("test_efficientnet", num_classes=0)
        case "packed vit":
            net = VisionTransformer(SIZE, 8, 2, 2, 16, 32)
            net.heads = nn.Identity()
        case "group norms":
            net = nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.GELU(), nn.Flatten(), nn.LazyLinear(6)
            )
        case _:
            net = timm.create_model("test_resnet", num_classes=0)
    net.double()(photographs())
    return net


def photographs():
    return torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)).double()


def head(width):
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(width, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()


NAMES = ("resnet", "convnext", "vit", "efficientnet", "packed vit", "group norms")


def pruned(net, hidden, norms):
    """A copy whose hidden entries are zero, with those norms in place of its own."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        for path, mask in hidden.items():
            other.get_parameter(path).masked_fill_(~mask, 0)
    for path, norm in norms.items():
        parent, _, name = path.rpartition(".")
        setattr(other.get_submodule(parent), name, norm)
    return other


@pytest.mark.parametrize("name", NAMES)
def test_the_competitor_is_the_network_pruned_by_hand(name):
    net = drawn(name)
    top = head(net(photographs()).shape[1])
    competitor = Competitor(net, top, own_norms=True).double()
    torch.manual_seed(3)
    for tensor in competitor.norms.parameters():
        nn.init.normal_(tensor, 1.0, 0.1)
    competitor.hide(magnitude_masks(competitor.weights(), 0.6))
    # Every module says what it is: nothing of `Competitor` is used to find weights or norms.
    hidden, norms = {}, ({}, {})
    masks = iter(competitor.masks.buffers())
    for path, module in net.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            hidden[f"{path}.in_proj_weight"] = next(masks)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            hidden[f"{path}.weight"] = next(masks)
    assert next(masks, None) is None
    for number, stage in enumerate((net, top)):
        for path, module in stage.named_modules():
            if type(module).__name__ in (
                *("BatchNorm2d", "BatchNorm1d", "BatchNormAct2d", "LayerNorm", "LayerNorm2d"),
                "GroupNorm",
            ):
                own = competitor.norms[f"{number}/{path.replace('.', '/')}"]
                norms[number][path] = copy.deepcopy(own)
    assert norms[0]
    assert len(norms[0]) + len(norms[1]) == len(competitor.norms)
    by_hand, by_hand_top = pruned(net, hidden, norms[0]), pruned(top, {}, norms[1])

    computed, expected = competitor(photographs()), by_hand_top(by_hand(photographs()))
    assert_close(computed, expected, rtol=1e-12, atol=1e-12)
    computed.square().sum().backward()
    expected.square().sum().backward()
    for path, parameter in net.named_parameters():
        gradient = by_hand.get_parameter(path).grad
        if path in hidden:
            assert_close(parameter.grad, gradient * hidden[path], rtol=1e-9, atol=1e-12)
        elif path.rpartition(".")[0] in norms[0]:
            assert parameter.grad is None
            assert gradient.abs().sum() > 0
        else:
            assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_masks_are_the_rule_read_slowly_over_all_weights(name):
    net = drawn(name)
    competitor = Competitor(net, head(4), own_norms=True)
    masks = magnitude_masks(competitor.weights(), 0.7)
    values = torch.cat([weight.detach().flatten() for weight in competitor.weights()]).tolist()
    expected = references.kept_by_magnitude(values, 0.7)
    assert torch.cat([mask.flatten() for mask in masks]).tolist() == expected


def test_of_a_transformer_its_matrices_are_pruned_and_its_embeddings_are_not():
    competitor = Competitor(drawn("packed vit"), own_norms=True)
    block = "0/encoder/layers/encoder_layer_1"
    assert {f"{block}/self_attention/in_proj_weight", "0/conv_proj"} < set(
        competitor.masks._buffers
    )
    assert len(list(competitor.masks.buffers())) == 1 + 2 * 4
    assert not [key for key in competitor.masks._buffers if "pos" in key or "class" in key]
    net = drawn("vit")
    prunable = {id(weight) for weight in Competitor(net, own_norms=True).weights()}
    left = {path for path, weight in net.named_parameters() if id(weight) not in prunable}
    assert all(
        path.endswith(("bias", "norm.weight", "norm1.weight", "norm2.weight"))
        or path in ("cls_token", "pos_embed", "reg_token")
        or "norm" in path
        for path in left
    ), left


@pytest.mark.parametrize("own_norms", [True, False])
@pytest.mark.parametrize("name", RESNETS)
def test_of_a_resnet_exactly_what_was_hidden_before_is_hidden(name, own_norms):
    torch.manual_seed(0)
    net = encoders.build(name, channels=3, size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
    top = nn.Sequential(nn.Linear(net.width, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    competitor = Competitor(net, top, own_norms=own_norms)
    # The rule of version 0.1.0: the convolutions of all stages, in the order of their modules.
    stages = list(enumerate((net, top)))
    modules = [(n, path, m) for n, stage in stages for path, m in stage.named_modules()]
    kernels = [(n, path, m) for n, path, m in modules if isinstance(m, nn.Conv2d)]
    assert [id(w) for w in competitor.weights()] == [id(m.weight) for *_, m in kernels]
    keys = [f"{n}/{path.replace('.', '/')}" for n, path, _ in kernels]
    assert list(competitor.masks._buffers) == keys
    norms = [
        f"{n}/{path.replace('.', '/')}"
        for n, path, m in modules
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    assert list(competitor.norms) == (norms if own_norms else [])
    masks = magnitude_masks([m.weight for *_, m in kernels], 0.9)
    competitor.hide(magnitude_masks(competitor.weights(), 0.9))
    for buffer, mask in zip(competitor.masks.buffers(), masks, strict=True):
        assert torch.equal(buffer, mask)


def test_a_norm_of_a_library_counts_and_what_only_contains_norms_does_not():
    class RmsNorm2d(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, inputs):
            return functional.normalize(inputs, dim=1) * self.weight[:, None, None]

    class ConvNormAct(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), RmsNorm2d()

        def forward(self, inputs):
            return self.norm(self.conv(inputs))

    competitor = Competitor(nn.Sequential(ConvNormAct(), nn.Flatten()), own_norms=True)
    assert list(competitor.norms) == ["0/0/norm"]
