import pytest
import torch
from torch import nn
from torch.testing import assert_close

from raylt import encoders
from raylt.nn.residual import BasicBlock, Padded

GREY = {"channels": 1, "mean": (0.5,), "std": (0.25,)}
COLOUR = {"channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def convolutions(net):
    return [module for module in net.modules() if isinstance(module, nn.Conv2d)]


def test_large_pictures_are_halved_twice_before_the_first_stage():
    net = encoders.build("resnet18", size=96, **GREY)
    sizes = []
    blocks = [module for module in net.network if isinstance(module, BasicBlock)]
    blocks[0].register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    assert net(torch.rand(2, 1, 96, 96)).shape == (2, 512)
    assert sizes == [24]
    assert convolutions(net)[0].kernel_size == (7, 7)


def test_option_a_shortcuts_have_no_weights():
    net = encoders.build("resnet32", size=32, **COLOUR)
    # A stem and 15 blocks of two convolutions.
    assert len(convolutions(net)) == 31
    block = next(
        module
        for module in net.network
        if isinstance(module, BasicBlock) and isinstance(module.shortcut, Padded)
    )
    pictures = torch.rand(1, 16, 8, 8)
    short = block.shortcut(pictures)
    assert short.shape == (1, 32, 4, 4)
    assert_close(short[:, 8:24], pictures[:, :, ::2, ::2])
    assert short[:, :8].abs().sum() == short[:, 24:].abs().sum() == 0


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_gradient_of_an_option_a_shortcut_is_the_slice_s_and_lies_like_the_pictures(layout):
    pictures = torch.rand(2, 4, 7, 7).to(memory_format=layout).requires_grad_()
    short = Padded(4, 8, 2)(pictures)
    weight = torch.rand_like(short)
    (gradient,) = torch.autograd.grad((weight * short).sum(), pictures)
    thinned = (weight[:, 2:6] * pictures[:, :, ::2, ::2]).sum()
    assert torch.equal(gradient, torch.autograd.grad(thinned, pictures)[0])
    assert gradient.is_contiguous(memory_format=layout)
