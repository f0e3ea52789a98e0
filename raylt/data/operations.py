"""The operations of AutoAugment and RandAugment on batches, each image at its own strength.

Images are (n, channels, size, size) with whole numbers from 0 to 255 in float32, as these
operations are defined on the bytes of an image; their results are whole numbers again.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from raylt.data import colour

Pixels = Float[Tensor, "n channel size size"]
Values = Float[Tensor, " n"]
Places = Float[Tensor, "n size size 2"]
"""For each pixel of a result its source (x, y) in the image, in pixels."""
Kernel = Callable[[Pixels, Places], Pixels]


class Operation(enum.IntEnum):
    """What may happen to an image, and the meaning of its value."""

    NONE = -1
    AUTO_CONTRAST = 0
    """Stretch each channel to the full range."""
    EQUALIZE = 1
    """Level the histogram of each channel."""
    INVERT = 2
    ROTATE = 3
    """Degrees, against the clock, about the centre."""
    POSTERIZE = 4
    """Bits of each byte that stay."""
    SOLARIZE = 5
    """Bytes at or above the value are inverted."""
    SOLARIZE_ADD = 6
    """The value is added to bytes below 128."""
    COLOUR = 7
    """Factor between the grey image and the image."""
    CONTRAST = 8
    """Factor between the mean grey and the image."""
    BRIGHTNESS = 9
    """Factor between black and the image."""
    SHARPNESS = 10
    """Factor between the smoothed image and the image."""
    SHEAR_X = 11
    """Columns to the left by which each row slips against the one above."""
    SHEAR_Y = 12
    """Rows upwards by which each column slips against the one before."""
    TRANSLATE_X = 13
    """Pixels to the right."""
    TRANSLATE_Y = 14
    """Pixels down."""


def apply(
    pixels: Pixels,
    operations: Int[Tensor, " n"],
    values: Values,
    *,
    cubic: Bool[Tensor, " n"],
    fill: Sequence[int],
) -> None:
    """Change each image in place by its operation.

    Images with the same operation are changed together, and all moves with the same kernel.

    Args:
        operations: An `Operation` for each image, on the CPU: it decides what is launched.
        values: The strength of each, on the CPU.
        cubic: Whether a move resamples with the cubic kernel and not linearly, on the CPU.
        fill: Byte for each channel of what a move uncovers.
    """
    for kind in operations.unique().tolist():
        if kind in _CHANGES:
            rows = torch.nonzero(operations == kind)[:, 0]
            strength = values[rows].to(pixels.device)[:, None, None, None]
            rows = rows.to(pixels.device)
            pixels[rows] = _CHANGES[kind](pixels[rows], strength)
    moves = torch.isin(operations, torch.tensor(_MOVES))
    for chosen, kernel in ((moves & ~cubic, _linear), (moves & cubic, _cubic)):
        moved = chosen.nonzero()[:, 0]
        if not len(moved):
            continue
        pairs = zip(operations[moved].tolist(), values[moved].tolist(), strict=True)
        matrices = torch.stack([_matrix(kind, value, pixels.shape[-1]) for kind, value in pairs])
        rows = moved.to(pixels.device)
        pixels[rows] = _warped(pixels[rows], matrices.to(pixels.device), kernel, fill=fill)


def _warped(
    pixels: Pixels, matrices: Float[Tensor, "n 2 3"], kernel: Kernel, *, fill: Sequence[int]
) -> Pixels:
    """Resample images where affine maps point, on `fill` beyond their edges.

    Args:
        matrices: From a place in the result to one in the image, (x, y, 1) -> (x, y), in pixels.
        kernel: Resamples images that are 0 beyond their edges.
    """
    size = pixels.shape[-1]
    centres = torch.arange(size, device=pixels.device) + 0.5
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    places = torch.stack((x, y, torch.ones_like(x)), -1).view(1, -1, 3)
    sources = (places @ matrices.transpose(1, 2)).view(-1, size, size, 2)
    # Outside counts as zero, so zero is made to mean the fill.
    ground = torch.tensor(fill, device=pixels.device).view(-1, 1, 1)
    return kernel(pixels - ground, sources).add_(ground).round_().clamp_(0, 255)


def _linear(pixels: Pixels, sources: Places) -> Pixels:
    return torch.nn.functional.grid_sample(
        pixels, sources * (2 / pixels.shape[-1]) - 1, align_corners=False
    )


def _cubic(pixels: Pixels, sources: Places) -> Pixels:
    """The 16 pixels around each source, by PIL's kernel for moves: Keys (1981) with a = -1."""
    n, channels, size, _ = pixels.shape
    corner = torch.floor(sources - 0.5)
    d = sources - 0.5 - corner
    # The kernel's polynomial at the distances 1 + d, d, 1 - d and 2 - d.
    weights = (d * (-1 + d * (2 - d)), 1 + d * d * (d - 2), d * (1 + d * (1 - d)), d * d * (d - 1))
    lines, total = pixels.flatten(2), torch.zeros_like(pixels)
    for dx, dy in itertools.product(range(-1, 3), repeat=2):
        column, row = corner[..., 0] + dx, corner[..., 1] + dy
        inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
        weight = weights[dx + 1][..., 0] * weights[dy + 1][..., 1] * inside
        place = row.clamp_(0, size - 1) * size + column.clamp_(0, size - 1)
        index = place.long().view(n, 1, -1).expand(-1, channels, -1)
        total += lines.gather(2, index).view_as(pixels) * weight[:, None]
    return total


def _matrix(kind: int, value: float, size: int) -> Float[Tensor, "2 3"]:
    """The map from a place in the result to its source, in pixels."""
    if kind == Operation.SHEAR_X:
        return torch.tensor([[1, value, 0], [0, 1, 0]])
    if kind == Operation.SHEAR_Y:
        return torch.tensor([[1, 0, 0], [value, 1, 0]])
    if kind == Operation.TRANSLATE_X:
        return torch.tensor([[1, 0, -value], [0, 1, 0]])
    if kind == Operation.TRANSLATE_Y:
        return torch.tensor([[1, 0, 0], [0, 1, -value]])
    angle = torch.deg2rad(torch.tensor(value))
    cos, sin = angle.cos().item(), angle.sin().item()
    middle = size / 2
    to_x, to_y = [cos, -sin, middle * (1 - cos + sin)], [sin, cos, middle * (1 - cos - sin)]
    return torch.tensor([to_x, to_y])


def _auto_contrast(pixels: Pixels, values: Tensor) -> Pixels:
    low, high = pixels.amin((2, 3), keepdim=True), pixels.amax((2, 3), keepdim=True)
    # A channel of one byte has nothing to stretch: it stays.
    flat = high <= low
    low = torch.where(flat, 0, low)
    scale = torch.where(flat, 1, 255 / (high - low).clamp(min=1))
    return ((pixels - low) * scale).floor_().clamp_(0, 255)


def _equalize(pixels: Pixels, values: Tensor) -> Pixels:
    """PIL's law: the rank of a byte over the pixels of a step, the last used byte not counted."""
    n, channels, size, _ = pixels.shape
    bytes_ = pixels.long().view(n * channels, size * size)
    histogram = torch.zeros(n * channels, 256, device=pixels.device)
    histogram.scatter_add_(1, bytes_, torch.ones_like(bytes_, dtype=torch.float32))
    last = histogram.gather(1, bytes_.amax(1, keepdim=True))
    step = ((size * size - last) / 255).floor_()
    below = histogram.cumsum(1) - histogram
    table = ((below + (step / 2).floor()) / step.clamp(min=1)).floor_().clamp_(0, 255)
    # Fewer pixels than bytes in a step: nothing can be levelled, and the image stays.
    ramp = torch.arange(256.0, device=pixels.device).expand_as(table)
    return torch.where(step > 0, table, ramp).gather(1, bytes_).view_as(pixels)


def _invert(pixels: Pixels, values: Tensor) -> Pixels:
    return 255 - pixels


def _posterize(pixels: Pixels, values: Tensor) -> Pixels:
    step = torch.exp2(8 - values)
    return (pixels / step).floor_().mul_(step)


def _solarize(pixels: Pixels, values: Tensor) -> Pixels:
    return torch.where(pixels >= values, 255 - pixels, pixels)


def _solarize_add(pixels: Pixels, values: Tensor) -> Pixels:
    return torch.where(pixels < 128, (pixels + values).clamp_(max=255), pixels)


def _colour(pixels: Pixels, values: Tensor) -> Pixels:
    return _blend(colour.grey(pixels).round_(), pixels, values)


def _contrast(pixels: Pixels, values: Tensor) -> Pixels:
    mean = colour.grey(pixels).round_().mean((1, 2, 3), keepdim=True)
    return _blend((mean + 0.5).floor_(), pixels, values)


def _brightness(pixels: Pixels, values: Tensor) -> Pixels:
    return _blend(torch.zeros_like(values), pixels, values)


def _sharpness(pixels: Pixels, values: Tensor) -> Pixels:
    smooth = pixels.clone()
    if pixels.shape[-1] > 2:
        # PIL's SMOOTH: ones around a five, over thirteen; the outermost pixels stay.
        around = torch.nn.functional.avg_pool2d(pixels, 3, stride=1) * 9
        inner = pixels[:, :, 1:-1, 1:-1]
        smooth[:, :, 1:-1, 1:-1] = ((around + 4 * inner) / 13).round_()
    return _blend(smooth, pixels, values)


def _blend(reference: Tensor, pixels: Pixels, factor: Tensor) -> Pixels:
    # Both PIL and torchvision cut the fraction off here.
    return torch.lerp(reference.expand_as(pixels), pixels, factor).clamp_(0, 255).floor_()


_CHANGES: dict[int, Callable[[Pixels, Tensor], Pixels]] = {
    Operation.AUTO_CONTRAST: _auto_contrast,
    Operation.EQUALIZE: _equalize,
    Operation.INVERT: _invert,
    Operation.POSTERIZE: _posterize,
    Operation.SOLARIZE: _solarize,
    Operation.SOLARIZE_ADD: _solarize_add,
    Operation.COLOUR: _colour,
    Operation.CONTRAST: _contrast,
    Operation.BRIGHTNESS: _brightness,
    Operation.SHARPNESS: _sharpness,
}
_MOVES = sorted({*Operation} - {*_CHANGES, Operation.NONE})
