"""Where a view looks: boxes drawn for each image, and the resampling of what they hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

Kernel = Literal["bicubic", "bilinear"]
"""How pixels are mixed where an image changes its size."""
_RATIO = (3 / 4, 4 / 3)
"""Aspect ratios of a random resized crop: torchvision's, which both papers use."""
_TRIES = 10
"""Draws before a random resized crop falls back on the centre, as in torchvision."""
_PADDING = 4 / 32
"""Black border of a padded crop, as a share of the image: 4 pixels around CIFAR's 32."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """One box for each image, in its own pixels; what lies outside the image is black."""

    top: Float[Tensor, " n"]
    left: Float[Tensor, " n"]
    height: Float[Tensor, " n"]
    width: Float[Tensor, " n"]
    mirrored: Bool[Tensor, " n"]
    padded: bool
    """Whether boxes may reach beyond the image, by an eighth of it at most."""

    def __getitem__(self, part: slice) -> Boxes:
        return Boxes(
            self.top[part],
            self.left[part],
            self.height[part],
            self.width[part],
            self.mirrored[part],
            self.padded,
        )


def whole(height: Float[Tensor, " n"], width: Float[Tensor, " n"]) -> Boxes:
    """All of each image."""
    zero = torch.zeros_like(height)
    return Boxes(zero, zero, height, width, zero > 0, padded=False)


def shifted(
    height: Float[Tensor, " n"],
    width: Float[Tensor, " n"],
    *,
    flip: float,
    generator: torch.Generator,
) -> Boxes:
    """All of each image, moved by up to an eighth of it and mirrored with probability `flip`.

    A crop of the image's own size out of its padded copy.
    """
    draw = _uniform(3, height, generator)
    down, right = torch.round(height * _PADDING), torch.round(width * _PADDING)
    top = torch.floor(draw[0] * (2 * down + 1)) - down
    left = torch.floor(draw[1] * (2 * right + 1)) - right
    return Boxes(top, left, height, width, draw[2] < flip, padded=True)


def cropped(
    height: Float[Tensor, " n"],
    width: Float[Tensor, " n"],
    *,
    crop: float,
    flip: float,
    generator: torch.Generator,
) -> Boxes:
    """A random part of each image with `crop` to 1 of its area, mirrored with probability `flip`.

    The law of torchvision's RandomResizedCrop: the first of ten draws of area and aspect ratio
    that fits, else the largest central box within the ratios; then a uniform place.
    """
    draw = _uniform(2 * _TRIES, height, generator).view(2, _TRIES, -1)
    area = height * width * (crop + (1 - crop) * draw[0])
    low, high = (math.log(ratio) for ratio in _RATIO)
    ratio = torch.exp(low + (high - low) * draw[1])
    wide = torch.round(torch.sqrt(area * ratio))
    tall = torch.round(torch.sqrt(area / ratio))
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    any_fits = fits.any(0)
    tall = torch.where(any_fits, tall.gather(0, first)[0], _central(height, width, 1 / _RATIO[0]))
    wide = torch.where(any_fits, wide.gather(0, first)[0], _central(width, height, _RATIO[1]))
    place = _uniform(3, height, generator)
    top = torch.where(any_fits, torch.floor(place[0] * (height - tall + 1)), (height - tall) // 2)
    left = torch.where(any_fits, torch.floor(place[1] * (width - wide + 1)), (width - wide) // 2)
    return Boxes(top, left, tall, wide, place[2] < flip, padded=False)


def resample(
    images: UInt8[Tensor, "n channel height width"],
    boxes: Boxes | None,
    size: int,
    *,
    kernel: Kernel,
) -> Float[Tensor, "n channel size size"]:
    """What the boxes hold, antialiased as in PIL, in [0, 1]; all of it without boxes.

    Two matrix products for each image: one resamples its columns, one its rows. The matrices hold
    the crop, the scaling, the mirroring and the range of uint8, so these cost nothing more.
    """
    if boxes is None:
        return images.float().div_(255)
    n, channels, height, width = images.shape
    no = torch.zeros_like(boxes.mirrored)
    borders = [round(side * _PADDING) if boxes.padded else 0 for side in (height, width)]
    mix = _KERNELS[kernel]
    rows = _weights(boxes.top, boxes.height, no, height, size, borders[0], mix)
    columns = _weights(boxes.left, boxes.width, boxes.mirrored, width, size, borders[1], mix)
    lines = images.float().reshape(n, channels * height, width)
    narrow = torch.bmm(lines, columns.transpose(1, 2)).view(n, channels, height, size)
    return torch.matmul(rows[:, None], narrow).div_(255).clamp_(0, 1)


def tilt(
    n: int, *, rotate: float, shear: float, generator: torch.Generator
) -> Callable[[Tensor, slice], Tensor]:
    """Turn and slant each view about its centre by its own draw; what comes in is black.

    Args:
        rotate: Largest turn to either side in degrees.
        shear: Largest slant to either side in degrees.
        generator: Draws n turns and n slants, uniformly.

    Returns:
        (views of a part of the batch (m, channels, size, size), the part) -> the same, tilted.
    """
    draw = 2 * torch.rand(2, n, generator=generator, device=generator.device) - 1
    turn, slant = draw[0] * math.radians(rotate), torch.tan(draw[1] * math.radians(shear))
    cos, sin = turn.cos(), turn.sin()
    zero = torch.zeros_like(cos)
    # Rows map a place in the result to the place in the source: first the turn, then the slant.
    rows = torch.stack([cos, slant * cos - sin, zero, sin, slant * sin + cos, zero], 1)
    matrices = rows.view(n, 2, 3)

    def tilted(views: Tensor, part: slice) -> Tensor:
        places = functional.affine_grid(matrices[part], list(views.shape), align_corners=False)
        return functional.grid_sample(views, places, align_corners=False)

    return tilted


def _uniform(
    draws: int, like: Float[Tensor, " n"], generator: torch.Generator
) -> Float[Tensor, "draws n"]:
    return torch.rand(draws, len(like), generator=generator, device=like.device)


def _central(
    side: Float[Tensor, " n"], other: Float[Tensor, " n"], most: float
) -> Float[Tensor, " n"]:
    """The side of the central box that has at most `most` times the length of the other side."""
    return torch.minimum(side, torch.round(other * most))


def _weights(
    start: Float[Tensor, " n"],
    length: Float[Tensor, " n"],
    mirrored: Bool[Tensor, " n"],
    extent: int,
    size: int,
    border: int,
    mix: Callable[[Tensor], Tensor],
) -> Float[Tensor, "n size extent"]:
    """What each pixel of an axis gives to each of `size` samples of [start, start + length).

    PIL's rules: the kernel `mix`, widened where the box is shrunk; pixels outside the box have no
    weight and the rest is normalised. Pixels of the border count in that, and are black.
    """
    device = start.device
    start, length = start[:, None, None], length[:, None, None]
    scale = length / size
    centre = (torch.arange(size, device=device)[:, None] + 0.5) * scale
    centre = torch.where(mirrored[:, None, None], length - centre, centre)
    inside = torch.arange(-border, extent + border, device=device) + 0.5 - start
    distance = (inside - centre).div_(scale.clamp(min=1)).abs_()
    # Pixel centres lie at least half a pixel from the box's edge: 1 within it, 0 without.
    within = torch.minimum(inside, length - inside).add_(0.5).clamp_(0, 1)
    weight = mix(distance).mul_(within)
    weight.div_(weight.sum(-1, keepdim=True))
    return weight[:, :, border : border + extent]


def _cubic(t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The cubic convolution kernel with a = -1/2 (Keys, 1981) at the distances t >= 0.

    Its two pieces as one sum of clipped powers, (1-t)(2-t)²/2 + (1-t)²(2t-1), where a clipped
    factor is 0 beyond its root: four times as fast on a CPU as choosing between them.
    """
    near = 1 - t
    far = (near + 1).clamp_(min=0)
    clipped = near.clamp(min=0)
    return far.square_().mul_(near).mul_(0.5).add_(clipped.square_().mul_(1 - 2 * near))


def _triangle(t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The kernel of linear interpolation at the distances t >= 0."""
    return (1 - t).clamp_(min=0)


_KERNELS: dict[Kernel, Callable[[Tensor], Tensor]] = {"bicubic": _cubic, "bilinear": _triangle}
