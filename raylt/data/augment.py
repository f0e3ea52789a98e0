"""Views of images: random looks at a whole batch at once, one draw for each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from raylt.data import colour, frames
from raylt.data.colour import Paint
from raylt.data.frames import Boxes

_CACHED = 3 * 2**15
"""Numbers of a part of the batch on a CPU: a few such parts fit a core's cache together."""
_MOST = 128
"""Images of a part at most, so that a batch of tiny ones still sees several jitter orders."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """How strongly views are disturbed: the section `augment` of a recipe."""

    crop: float
    """Smallest share of the area that a random crop keeps."""
    flip: float
    """Probability of a horizontal flip."""
    jitter: float
    """Strength of the colour jitter."""
    grey: float
    """Probability that a view loses its colours."""
    blur: float
    """Probability of a blur."""


Frame = Callable[[Tensor, Tensor, Knobs, torch.Generator], Boxes]
Painter = Callable[[int, int, Knobs, torch.Generator], Paint | None]


@dataclass(frozen=True, slots=True)
class View:
    """One kind of view: where it looks, then what happens to the colours, in order."""

    frame: Frame
    """(heights, widths, knobs, generator) -> the box of each image."""
    painters: tuple[Painter, ...] = ()
    """(images, size, knobs, generator) -> what to do to each image, or None for nothing."""

    def __call__(
        self,
        images: UInt8[Tensor, "n channel height width"],
        *,
        size: int,
        crop: float,
        flip: float,
        jitter: float,
        grey: float,
        blur: float,
        generator: torch.Generator,
    ) -> Float[Tensor, "n channel size size"]:
        """One view of each image, in [0, 1], on the images' device, in channels-last memory.

        Args:
            images: The originals at their own size; one channel or three.
            size: Height and width of the views in pixels.
            crop: Smallest share of the area that a random crop keeps.
            flip: Probability of a horizontal flip.
            jitter: Strength of the colour jitter.
            grey: Probability that a view loses its colours.
            blur: Probability of a blur with a radius of 0.1 to 2 pixels.
            generator: Draws everything; it lives on the images' device.
        """
        n, channels, height, width = images.shape
        knobs = Knobs(crop, flip, jitter, grey, blur)
        heights, widths = (
            torch.full((n,), float(s), device=images.device) for s in (height, width)
        )
        boxes = self.frame(heights, widths, knobs, generator)
        paints = [p for paint in self.painters if (p := paint(n, size, knobs, generator))]
        views = torch.empty(
            n, channels, size, size, device=images.device, memory_format=torch.channels_last
        )
        for part in _parts(views):
            view = frames.resample(images[part], boxes[part], size)
            for paint in paints:
                view = paint(view, part)
            views[part] = view
        return views


def _parts(views: Tensor) -> Iterator[slice]:
    """The batch in parts that fit a CPU's cache; as a whole on other devices."""
    n = len(views)
    step = min(max(1, _CACHED // views[0].numel()), _MOST) if views.device.type == "cpu" else n
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _whole(heights: Tensor, widths: Tensor, knobs: Knobs, generator: torch.Generator) -> Boxes:
    return frames.whole(heights, widths)


def _shifted(heights: Tensor, widths: Tensor, knobs: Knobs, generator: torch.Generator) -> Boxes:
    return frames.shifted(heights, widths, flip=knobs.flip, generator=generator)


def _cropped(heights: Tensor, widths: Tensor, knobs: Knobs, generator: torch.Generator) -> Boxes:
    return frames.cropped(heights, widths, crop=knobs.crop, flip=knobs.flip, generator=generator)


def _jitter(n: int, size: int, knobs: Knobs, generator: torch.Generator) -> Paint | None:
    # SimCLR leaves one view in five without jitter (METHODS of both papers).
    return colour.jitter(n, strength=knobs.jitter, probability=0.8, generator=generator)


def _grey(n: int, size: int, knobs: Knobs, generator: torch.Generator) -> Paint | None:
    return colour.lose_colour(n, probability=knobs.grey, generator=generator)


def _blur(n: int, size: int, knobs: Knobs, generator: torch.Generator) -> Paint | None:
    return (
        colour.blur(n, size, probability=knobs.blur, generator=generator) if knobs.blur else None
    )


VIEWS: dict[str, View] = {
    "none": View(_whole),
    "weak": View(_shifted),
    "sim": View(_cropped, (_jitter, _grey, _blur)),
}
"""Kinds of views by name: `none` only resizes, for evaluation; `weak` shifts and mirrors a padded
image; `sim` is SimCLR's."""
