"""What residual networks are built of: a stem, basic blocks and their shortcuts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def is_small(size: int) -> bool:
    """Whether images of this height and width keep their size in the stem, as for CIFAR."""
    return size <= 64


def stem(channels: int, width: int, size: int) -> list[nn.Module]:
    """The first layers; large images are halved twice, as for ImageNet."""
    if is_small(size):
        return [convolution(channels, width, 3, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return [
        convolution(channels, width, 7, 2),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]


def convolution(before: int, after: int, kernel: int, stride: int) -> nn.Conv2d:
    """A convolution without bias whose padding keeps the size but for the stride."""
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is `Projected` or `Padded` where the shape
    changes (He et al., CVPR 2016)."""

    def __init__(self, before: int, after: int, stride: int, shortcut: type[nn.Module]) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            convolution(before, after, 3, stride),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            convolution(after, after, 3, 1),
            nn.BatchNorm2d(after),
        )
        same = stride == 1 and before == after
        self.shortcut = nn.Identity() if same else shortcut(before, after, stride)

    def forward(self, pictures: Tensor) -> Tensor:
        """The sum of both ways, rectified."""
        return functional.relu(self.residual(pictures) + self.shortcut(pictures), inplace=True)


class Projected(nn.Sequential):
    """Shortcut through a 1x1 convolution and a norm, option B of He et al."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__(convolution(before, after, 1, stride), nn.BatchNorm2d(after))


class Padded(nn.Module):
    """Shortcut without weights, option A of He et al.: half the pixels, zeros as new channels."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.padding = ((after - before) // 2, after - before - (after - before) // 2)

    def forward(self, pictures: Tensor) -> Tensor:
        """Every second pixel where the stride is 2, between channels of zeros."""
        thinned = _Thinned.apply(pictures, self.stride)
        return functional.pad(thinned, (0, 0, 0, 0, *self.padding))


class _Thinned(torch.autograd.Function):
    """Every so many pixels of each row and column.

    The gradient of torch's own slice lies in memory channel by channel, whatever the pictures do,
    and all that it is added to on its way down: a seventh of a step of ResNet-32.
    """

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, stride: int) -> Tensor:
        """The pixels that stay, a view."""
        last = pictures.is_contiguous(memory_format=torch.channels_last)
        ctx.format = torch.channels_last if last else torch.contiguous_format
        ctx.shape, ctx.stride = pictures.shape, stride
        return pictures[:, :, ::stride, ::stride]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Zeros where a pixel was left out, in the layout of the pictures."""
        whole = torch.empty(
            ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=ctx.format
        ).zero_()
        whole[:, :, :: ctx.stride, :: ctx.stride] = gradient
        return whole, None
