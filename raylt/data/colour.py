"""Colours of a view: jitter, grey and blur, one draw for each image.

Each function draws for the whole batch at once and returns the paint: a function of a part of
the batch and of the place of that part. So the arithmetic may run in parts that fit a cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

Views = Float[Tensor, "n channel size size"]
Paint = Callable[[Views, slice], Views]

_LUMA = (0.299, 0.587, 0.114)
"""ITU-R 601: what red, green and blue give to grey in PIL and torchvision."""
_ORDERS = tuple(itertools.permutations(range(4)))


def jitter(
    n: int,
    *,
    reach: tuple[float, float, float, float],
    probability: float,
    generator: torch.Generator,
) -> Paint:
    """Brightness, contrast, saturation and hue in a random order, as torchvision's ColorJitter.

    On a CPU each part of the batch has one order, drawn at random: the place of an image in a
    batch is random too, so each image sees every order equally often. On other devices, where
    many small operations cost more than arithmetic, each image has its own order.

    Args:
        reach: How far brightness, contrast and saturation may leave 1, and hue may leave 0.
        probability: Share of the images that are changed at all.
        generator: Draws everything; it lives on the images' device.
    """
    device = generator.device
    draw = torch.rand(5, n, 1, 1, 1, generator=generator, device=device)
    change = (2 * draw[:4] - 1) * torch.tensor(reach, device=device).view(4, 1, 1, 1, 1)
    change = torch.where(draw[4] < probability, change, 0)
    factors, turn = 1 + change[:3], change[3]
    if device.type != "cpu":
        order = torch.rand(n, 4, generator=generator, device=device).argsort(1)
        return lambda views, part: jitter_each(views, factors[:, part], turn[part], order[part])
    shuffled = torch.randperm(len(_ORDERS), generator=generator).tolist()
    orders = itertools.cycle([_ORDERS[k] for k in shuffled])
    return lambda views, part: jitter_all(views, factors[:, part], turn[part], next(orders))


def jitter_all(
    views: Views,
    factors: Float[Tensor, "3 n 1 1 1"],
    turn: Float[Tensor, "n 1 1 1"],
    order: Sequence[int],
) -> Views:
    """Apply the four operations in one order for all images.

    Args:
        views: Images in [0, 1].
        factors: Brightness, contrast and saturation; 1 changes nothing.
        turn: Hue, in turns of the colour circle.
        order: 0 brightness, 1 contrast, 2 saturation, 3 hue, each once.
    """
    coloured = views.shape[1] == 3
    for operation in order:
        if operation == 0:
            views = (views * factors[0]).clamp_(0, 1)
        elif operation == 1:
            views = blend(grey(views).mean((1, 2, 3), keepdim=True), views, factors[1])
        elif operation == 2 and coloured:
            views = blend(grey(views), views, factors[2])
        elif operation == 3 and coloured:
            views = turn_hue(views, turn)
    return views


def jitter_each(
    views: Views,
    factors: Float[Tensor, "3 n 1 1 1"],
    turn: Float[Tensor, "n 1 1 1"],
    order: Int[Tensor, "n 4"],
) -> Views:
    """Apply the four operations to each image in its own order; arguments as of `jitter_all`.

    The shapes do not depend on the draws: in each of four rounds the blends are one formula with
    each image's own reference, and hue turns by nothing where it is not its turn.
    """
    coloured = views.shape[1] == 3
    for turnus in order.view(len(order), 4, 1, 1, 1).unbind(1):
        shade = grey(views)
        mean = shade.mean((1, 2, 3), keepdim=True)
        reference = torch.where(turnus == 1, mean, torch.where(turnus == 2, shade, 0))
        factor = torch.where(turnus == 0, factors[0], torch.where(turnus == 1, factors[1], 1))
        if coloured:
            factor = torch.where(turnus == 2, factors[2], factor)
        views = blend(reference, views, factor)
        if coloured:
            views = turn_hue(views, torch.where(turnus == 3, turn, 0))
    return views


def lose_colour(n: int, *, probability: float, generator: torch.Generator) -> Paint:
    """Make an image grey with the given probability; one channel is grey already."""
    kept = (~_chosen(n, probability, generator)).float()
    return lambda views, part: torch.lerp(grey(views).expand_as(views), views, kept[part])


def blur(n: int, size: int, *, probability: float, generator: torch.Generator) -> Paint:
    """Blur an image with a radius of 0.1 to 2 pixels with the given probability."""
    chosen = _chosen(n, probability, generator)
    draw = torch.rand(n, 1, 1, 1, generator=generator, device=generator.device)
    radius = torch.where(chosen, 0.1 + 1.9 * draw, 0)

    def paint(views: Views, part: slice) -> Views:
        matrix = blur_matrix(radius[part].flatten(), size)[:, None]
        return matrix @ views @ matrix.transpose(-1, -2)

    return paint


def grey(views: Views) -> Float[Tensor, "n 1 size size"]:
    """Brightness of each pixel; an image of one channel is its own."""
    if views.shape[1] == 1:
        return views
    red, green, blue = views.split(1, 1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def blend(
    reference: Float[Tensor, "n _ _ _"], views: Views, factor: Float[Tensor, "n 1 1 1"]
) -> Views:
    """Reference at factor 0, views at 1, and beyond; clipped to [0, 1]."""
    return torch.lerp(reference.expand_as(views), views, factor).clamp_(0, 1)


def turn_hue(views: Views, turn: Float[Tensor, "n 1 1 1"]) -> Views:
    """Turn the hue by `turn` of the colour circle: RGB -> HSV -> RGB in closed form.

    With colours scaled so that the least is 0 and the most is 1, the hue in sixths of the circle
    is 1 + green + blue - red where green is above blue, and the same to the other side where it
    is below. A channel is full within a sixth of its own hue and gone beyond two.
    """
    red, green, blue = views.split(1, 1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = high - low
    # A grey pixel has no hue: any divisor will do, its chroma is 0.
    angle = (green + blue).sub_(red).sub_(low).div_(chroma.clamp(min=1e-9)).add_(1)
    hue = torch.copysign(angle, green - blue).div_(6).add_(turn)
    own = torch.tensor([0, 1 / 3, 2 / 3], device=views.device).view(3, 1, 1)
    apart = hue - own
    apart.sub_(apart.round()).abs_()
    return apart.mul_(-6).add_(2).clamp_(0, 1).mul_(chroma).add_(low)


def blur_matrix(radius: Float[Tensor, " n"], size: int) -> Float[Tensor, "n size size"]:
    """PIL's Gaussian blur of one axis: a box of fractional width, three times; radius 0 is none.

    The box has the variance radius²/3 (Gwosdek et al., "Theoretical foundations of Gaussian
    convolution by extended box filtering", 2011), and the edge pixel repeats beyond the edge.
    """
    variance = radius.square() / 3
    whole = torch.floor((torch.sqrt(12 * variance + 1) - 1) / 2)
    rest = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    box = (whole + rest / (6 * (variance - (whole + 1).square())))[:, None, None]
    place = torch.arange(size, device=radius.device)
    # Radii of up to 2 pixels make boxes that reach less than 3.
    beyond = torch.arange(-3, size + 3, device=radius.device)
    weight = (box + 1 - (place[:, None] - beyond).abs()).clamp_(0, 1) / (2 * box + 1)
    matrix = weight[:, :, 3:-3].clone()
    matrix[:, :, 0] += weight[:, :, :3].sum(-1)
    matrix[:, :, -1] += weight[:, :, -3:].sum(-1)
    return matrix @ matrix @ matrix


def _chosen(n: int, probability: float, generator: torch.Generator) -> Tensor:
    draw = torch.rand(n, 1, 1, 1, generator=generator, device=generator.device)
    return draw < probability
