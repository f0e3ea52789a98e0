"""Learned and random policies of operations: AutoAugment, RandAugment, and Cutout after them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from raylt.data import operations
from raylt.data.operations import Operation

Views = Float[Tensor, "n channel size size"]
_O = Operation


class Strength(NamedTuple):
    """Value of an operation at a level: `base` ± (`start` + `slope` * level)."""

    slope: float = 0.0
    start: float = 0.0
    base: float = 0.0
    signed: bool = False
    """Whether the sign is drawn."""
    whole: bool = False
    """Whether the fraction is cut off."""


_ENHANCE = Strength(slope=0.18, start=0.1)
_RANDOM = {
    _O.AUTO_CONTRAST: Strength(),
    _O.EQUALIZE: Strength(),
    _O.INVERT: Strength(),
    _O.ROTATE: Strength(slope=3.0, signed=True),
    _O.POSTERIZE: Strength(slope=0.4, whole=True),
    _O.SOLARIZE: Strength(slope=25.6, whole=True),
    _O.SOLARIZE_ADD: Strength(slope=11.0, whole=True),
    _O.COLOUR: _ENHANCE,
    _O.CONTRAST: _ENHANCE,
    _O.BRIGHTNESS: _ENHANCE,
    _O.SHARPNESS: _ENHANCE,
    _O.SHEAR_X: Strength(slope=0.03, signed=True),
    _O.SHEAR_Y: Strength(slope=0.03, signed=True),
    _O.TRANSLATE_X: Strength(slope=0.045, signed=True),
    _O.TRANSLATE_Y: Strength(slope=0.045, signed=True),
}
"""RandAugment's operations and their strengths at levels from 0 to 10; a translation is a share
of the image."""

_CHANGE = Strength(slope=0.1, base=1.0, signed=True)
LEARNED = {
    _O.AUTO_CONTRAST: Strength(),
    _O.EQUALIZE: Strength(),
    _O.INVERT: Strength(),
    _O.ROTATE: Strength(slope=30 / 9, signed=True),
    _O.POSTERIZE: Strength(slope=-4 / 9, start=8.5, whole=True),
    _O.SOLARIZE: Strength(slope=-255 / 9, start=255.0),
    _O.COLOUR: _CHANGE,
    _O.CONTRAST: _CHANGE,
    _O.BRIGHTNESS: _CHANGE,
    _O.SHARPNESS: _CHANGE,
    _O.SHEAR_X: Strength(slope=0.3 / 9, signed=True),
    _O.SHEAR_Y: Strength(slope=0.3 / 9, signed=True),
    _O.TRANSLATE_X: Strength(slope=150 / 331 / 9, signed=True, whole=True),
    _O.TRANSLATE_Y: Strength(slope=150 / 331 / 9, signed=True, whole=True),
}
"""AutoAugment's operations and their strengths at levels from 0 to 9."""

SUB_POLICIES = (
    (_O.INVERT, 0.1, 7, _O.CONTRAST, 0.2, 6),
    (_O.ROTATE, 0.7, 2, _O.TRANSLATE_X, 0.3, 9),
    (_O.SHARPNESS, 0.8, 1, _O.SHARPNESS, 0.9, 3),
    (_O.SHEAR_Y, 0.5, 8, _O.TRANSLATE_Y, 0.7, 9),
    (_O.AUTO_CONTRAST, 0.5, 8, _O.EQUALIZE, 0.9, 2),
    (_O.SHEAR_Y, 0.2, 7, _O.POSTERIZE, 0.3, 7),
    (_O.COLOUR, 0.4, 3, _O.BRIGHTNESS, 0.6, 7),
    (_O.SHARPNESS, 0.3, 9, _O.BRIGHTNESS, 0.7, 9),
    (_O.EQUALIZE, 0.6, 5, _O.EQUALIZE, 0.5, 1),
    (_O.CONTRAST, 0.6, 7, _O.SHARPNESS, 0.6, 5),
    (_O.COLOUR, 0.7, 7, _O.TRANSLATE_X, 0.5, 8),
    (_O.EQUALIZE, 0.3, 7, _O.AUTO_CONTRAST, 0.4, 8),
    (_O.TRANSLATE_Y, 0.4, 3, _O.SHARPNESS, 0.2, 6),
    (_O.BRIGHTNESS, 0.9, 6, _O.COLOUR, 0.2, 8),
    (_O.SOLARIZE, 0.5, 2, _O.INVERT, 0.0, 3),
    (_O.EQUALIZE, 0.2, 0, _O.AUTO_CONTRAST, 0.6, 0),
    (_O.EQUALIZE, 0.2, 8, _O.EQUALIZE, 0.6, 4),
    (_O.COLOUR, 0.9, 9, _O.EQUALIZE, 0.6, 6),
    (_O.AUTO_CONTRAST, 0.8, 4, _O.SOLARIZE, 0.2, 8),
    (_O.BRIGHTNESS, 0.1, 3, _O.COLOUR, 0.7, 0),
    (_O.SOLARIZE, 0.4, 5, _O.AUTO_CONTRAST, 0.9, 3),
    (_O.TRANSLATE_Y, 0.9, 9, _O.TRANSLATE_Y, 0.7, 9),
    (_O.AUTO_CONTRAST, 0.9, 2, _O.SOLARIZE, 0.8, 3),
    (_O.EQUALIZE, 0.8, 8, _O.INVERT, 0.1, 3),
    (_O.TRANSLATE_Y, 0.7, 9, _O.AUTO_CONTRAST, 0.9, 1),
)
"""What AutoAugment learned on CIFAR-10 (Cubuk et al., 2019, table 7): operation, probability and
level of the first and of the second step."""

# RandAugment in BCL's program: n 2, m 10, mstd 0.5, each operation with probability 1/2.
_RANDOM_CHANCE, _RANDOM_LEVEL, _RANDOM_SPREAD, _RANDOM_MOST = 0.5, 10.0, 0.5, 10.0
_MIDDLE_GREY = (128, 128, 128)
_IMAGENET_MEAN = (124, 116, 104)


def rand_augment(views: Views, generator: torch.Generator) -> Views:
    """Two of fifteen operations, each with probability 1/2, at a level of N(10, 1/2) up to 10.

    The RandAugment of BCL's program: operations are drawn with replacement, what moves uncover is
    filled with ImageNet's mean, and a move resamples linearly or cubically, as chance has it.
    """
    n = len(views)
    host = _host(generator)
    kinds = torch.randint(len(_RANDOM), (2, n), generator=host)
    applied = torch.rand(2, n, generator=host) < _RANDOM_CHANCE
    levels = _RANDOM_LEVEL + _RANDOM_SPREAD * torch.randn(2, n, generator=host)
    levels = levels.clamp_(0, _RANDOM_MOST)
    values = _values(_RANDOM, kinds, levels, size=views.shape[-1], generator=host)
    kinds = torch.where(applied, kinds, _O.NONE)
    cubic = torch.rand(2, n, generator=host) < _RANDOM_CHANCE
    return _perform(views, kinds, values, cubic, fill=_IMAGENET_MEAN)


def auto_augment(views: Views, generator: torch.Generator) -> Views:
    """One of the 25 pairs of operations that AutoAugment learned on CIFAR-10.

    What moves uncover is filled with middle grey, as in the programs that reproduce BCL's CIFAR
    numbers.
    """
    n = len(views)
    host = _host(generator)
    pair = torch.randint(len(SUB_POLICIES), (n,), generator=host)
    steps = torch.tensor(SUB_POLICIES)[pair].view(n, 2, 3)
    kinds, chances, levels = steps.permute(2, 1, 0)
    kinds = kinds.long()
    applied = torch.rand(2, n, generator=host) < chances
    values = _values(LEARNED, kinds, levels, size=views.shape[-1], generator=host)
    kinds = torch.where(applied, kinds, _O.NONE)
    linear = torch.zeros_like(applied)
    return _perform(views, kinds, values, linear, fill=_MIDDLE_GREY)


def cutout(views: Views, generator: torch.Generator) -> Views:
    """Black out a square of half the image's side around a random pixel (DeVries, Taylor, 2017).

    The square is cut where it reaches beyond the image; at 32 pixels it measures 16.
    """
    size = views.shape[-1]
    draw = torch.rand(2, len(views), 1, generator=generator, device=views.device)
    apart = torch.arange(size, device=views.device) - torch.floor(draw * size)
    rows, columns = (apart >= -(size // 4)) & (apart < size // 4)
    return views.masked_fill_(rows[:, None, :, None] & columns[:, None, None, :], 0)


def _perform(
    views: Views,
    kinds: Int[Tensor, "2 n"],
    values: Float[Tensor, "2 n"],
    cubic: Bool[Tensor, "2 n"],
    *,
    fill: tuple[int, int, int],
) -> Views:
    pixels = views.mul_(255).round_()
    # A grey image is filled with the grey of the same brightness.
    bytes_ = fill if views.shape[1] == 3 else (round(sum(fill) / 3),)
    for kind, value, kernel in zip(kinds, values, cubic, strict=True):
        operations.apply(pixels, kind, value, cubic=kernel, fill=bytes_)
    return pixels.div_(255)


def _values(
    strengths: dict[Operation, Strength],
    kinds: Int[Tensor, "2 n"],
    levels: Float[Tensor, "2 n"],
    *,
    size: int,
    generator: torch.Generator,
) -> Float[Tensor, "2 n"]:
    """The value of each operation at its level, in the operation's own unit."""
    table = torch.zeros(len(_O) - 1, 5)
    for kind, strength in strengths.items():
        moved = size if kind in (_O.TRANSLATE_X, _O.TRANSLATE_Y) else 1
        table[kind] = torch.tensor(strength._replace(slope=strength.slope * moved))
    slope, start, base, signed, whole = table[kinds].unbind(-1)
    values = start + slope * levels
    values = torch.where(whole > 0, values.trunc(), values)
    sign = torch.rand(kinds.shape, generator=generator) < 0.5
    return base + torch.where(sign & (signed > 0), -values, values)


def _host(generator: torch.Generator) -> torch.Generator:
    """A generator on the CPU: which operations are drawn decides what is launched.

    Nothing can be drawn from a device's generator here without waiting for the device, but the
    state that it will draw from next is known on this side.
    """
    if generator.device.type == "cpu":
        return generator
    state = (generator.initial_seed(), generator.get_offset())
    return torch.Generator().manual_seed(hash(state) % 2**63)
