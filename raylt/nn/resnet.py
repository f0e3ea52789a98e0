"""Encoders: images in [0, 1] -> features. The first thing that they do is to normalise."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Name = Literal["small", "resnet18", "resnet32", "resnet50", "resnext50"]

# Stages as (width, blocks).
_SMALL = ((16, 1), (32, 1), (64, 1))
_RESNET18 = ((64, 2), (128, 2), (256, 2), (512, 2))
_RESNET32 = ((16, 5), (32, 5), (64, 5))
# Larger images are halved twice before the first stage, as for ImageNet.
_SMALL_IMAGE = 64


class Encoder(nn.Module):
    """A network behind the normalisation of its pixels.

    Args:
        network: Normalised images (n, channels, size, size) -> features (n, width).
        width: Features of an image.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, *, width: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.network = network
        self.width = width
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(
        self, images: Float[Tensor, "image channel height width"]
    ) -> Float[Tensor, "image feature"]:
        """Features of images with pixels in [0, 1]."""
        return self.network((images - self.mean) / self.std)


def encoder(
    name: Name, *, channels: int, size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Encoder:
    """An encoder with fresh weights from torch's generator.

    Convolutions are drawn by Kaiming's normal law over the fan-out; norms begin as the identity.

    Args:
        name: "small" is for pictures of 8 to 32 pixels, "resnet32" the one of the CIFAR papers
            with option-A shortcuts; "resnet50" and "resnext50" (32x4d) are torchvision's.
        channels: Channels of an image.
        size: Height and width; above 64 the stem is a 7x7 convolution of stride 2 and a pool.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, likewise.
    """
    match name:
        case "small":
            network, width = _residual(channels, _SMALL, size, _Projected, cells=2), 4 * 64
        case "resnet18":
            network, width = _residual(channels, _RESNET18, size, _Projected, cells=1), 512
        case "resnet32":
            network, width = _residual(channels, _RESNET32, size, _Padded, cells=1), 64
        case "resnet50" | "resnext50":
            network, width = _bottleneck(name, channels, size), 2048
    return Encoder(network, width=width, mean=mean, std=std)


def _residual(
    channels: int,
    stages: tuple[tuple[int, int], ...],
    size: int,
    shortcut: type[nn.Module],
    *,
    cells: int,
) -> nn.Module:
    """A network of basic blocks; every stage but the first halves the picture.

    The result is averaged over `cells` x `cells` parts of the picture: 1 everywhere in the papers.
    The small encoder keeps four corners apart, for its pictures are aligned, and without them its
    frozen features say less about digits than the raw pixels do.
    """
    first = stages[0][0]
    layers = _stem(channels, first, size)
    before = first
    for number, (width, blocks) in enumerate(stages):
        for block in range(blocks):
            stride = 2 if number > 0 and block == 0 else 1
            layers.append(_BasicBlock(before, width, stride, shortcut))
            before = width
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(cells), nn.Flatten())
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _stem(channels: int, width: int, size: int) -> list[nn.Module]:
    if size <= _SMALL_IMAGE:
        return [_convolution(channels, width, 3, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return [
        _convolution(channels, width, 7, 2),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]


def _convolution(before: int, after: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int, shortcut: type[nn.Module]) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(before, after, 3, stride),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            _convolution(after, after, 3, 1),
            nn.BatchNorm2d(after),
        )
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else shortcut(before, after, stride)

    def forward(self, pictures: Tensor) -> Tensor:
        return functional.relu(self.residual(pictures) + self.shortcut(pictures), inplace=True)


class _Projected(nn.Sequential):
    """Shortcut through a 1x1 convolution and a norm, option B of He et al."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))


class _Padded(nn.Module):
    """Shortcut without weights, option A of He et al.: half the pixels, zeros as new channels."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.padding = ((after - before) // 2, after - before - (after - before) // 2)

    def forward(self, pictures: Tensor) -> Tensor:
        thinned = pictures[:, :, :: self.stride, :: self.stride]
        return functional.pad(thinned, (0, 0, 0, 0, *self.padding))


def _bottleneck(name: Literal["resnet50", "resnext50"], channels: int, size: int) -> nn.Module:
    # torchvision takes seconds to import, and only these two networks need it.
    from torchvision.models import resnet50, resnext50_32x4d

    network = (resnet50 if name == "resnet50" else resnext50_32x4d)(weights=None)
    network.fc = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    if size <= _SMALL_IMAGE:
        network.conv1 = _convolution(channels, 64, 3, 1)
        network.maxpool = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    else:
        network.conv1 = _convolution(channels, 64, 7, 2)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    return network
