"""Residual networks (He et al., CVPR 2016): those of the CIFAR papers, and torchvision's."""

from __future__ import annotations

from typing import Literal

from torch import nn

from raylt.nn.residual import BasicBlock, Padded, Projected, convolution, is_small, stem

NAMES = ("small", "resnet18", "resnet32", "resnet32_fan_in", "resnet50", "resnext50")
"""`small` is for pictures of 8 to 32 pixels, `resnet32` the one of the CIFAR papers with option-A
shortcuts, `resnet32_fan_in` the same with other initial weights; `resnet50` and `resnext50`
(32x4d) are torchvision's."""

# Stages as (width, blocks).
_SMALL = ((16, 1), (32, 1), (64, 1))
_RESNET18 = ((64, 2), (128, 2), (256, 2), (512, 2))
_RESNET32 = ((16, 5), (32, 5), (64, 5))


def build(name: str, *, channels: int, size: int) -> nn.Module:
    """A network for normalised images.

    Convolutions are drawn by Kaiming's normal law over the fan-out; norms begin as the identity.
    For `resnet32_fan_in` it is the fan-in, as in LDAM's program (Cao et al., NeurIPS 2019), from
    which ProCo's and the re-runs of BCL took their network: its stem has the standard deviation
    0.272, not 0.118. SDCLR's program takes the fan-out.
    """
    match name:
        case "small":
            return _residual(channels, _SMALL, size, Projected, cells=2)
        case "resnet18":
            return _residual(channels, _RESNET18, size, Projected, cells=1)
        case "resnet32":
            return _residual(channels, _RESNET32, size, Padded, cells=1)
        case "resnet32_fan_in":
            return _residual(channels, _RESNET32, size, Padded, cells=1, fan="fan_in")
        case _:
            return _bottleneck(name, channels, size)


def _residual(
    channels: int,
    stages: tuple[tuple[int, int], ...],
    size: int,
    shortcut: type[nn.Module],
    *,
    cells: int,
    fan: Literal["fan_in", "fan_out"] = "fan_out",
) -> nn.Module:
    """A network of basic blocks; every stage but the first halves the picture.

    The result is averaged over `cells` x `cells` parts of the picture: 1 everywhere in the papers.
    The small encoder keeps four corners apart, for its pictures are aligned, and without them its
    frozen features say less about digits than the raw pixels do.
    """
    first = stages[0][0]
    layers = stem(channels, first, size)
    before = first
    for number, (width, blocks) in enumerate(stages):
        for block in range(blocks):
            stride = 2 if number > 0 and block == 0 else 1
            layers.append(BasicBlock(before, width, stride, shortcut))
            before = width
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(cells), nn.Flatten())
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=fan, nonlinearity="relu")
    return network


def _bottleneck(name: str, channels: int, size: int) -> nn.Module:
    # torchvision takes seconds to import, and only these two networks need it.
    from torchvision.models import resnet50, resnext50_32x4d

    network = (resnet50 if name == "resnet50" else resnext50_32x4d)(weights=None)
    network.fc = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    if is_small(size):
        network.conv1 = convolution(channels, 64, 3, 1)
        network.maxpool = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    else:
        network.conv1 = convolution(channels, 64, 7, 2)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    return network
