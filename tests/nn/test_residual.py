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
