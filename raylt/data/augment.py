"""Views of images: random looks at a whole batch at once, one draw for each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from raylt.data import colour, frames, policy
from raylt.data.colour import Paint
from raylt.data.frames import Boxes
from raylt.sections import Augment

_CACHED = 3 * 2**15
"""Numbers of a part of the batch on a CPU: a few such parts fit a core's cache together."""
_MOST = 128
"""Images of a part at most, so that a batch of tiny ones still sees several jitter orders."""


CALM = Augment(crop=1.0, flip=0.0, jitter=0.0, grey=0.0)
"""Nothing is disturbed."""

Law = Callable[[Tensor, Tensor, Augment, torch.Generator], Boxes]
Painter = Callable[[int, int, Augment, torch.Generator], Paint | None]
Finish = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, slots=True)
class View:
    """One kind of view: where it looks, then what happens to the colours, in order."""

    boxes: Law
    """(heights, widths, params, generator) -> where it looks in each image."""
    painters: tuple[Painter, ...] = ()
    """(images, size, params, generator) -> what to do to each image, or None for nothing."""
    finishes: tuple[Finish, ...] = ()
    """(views, generator) -> views: what sorts the whole batch by what happens to each image."""
    of_originals: bool = False
    """Whether boxes are meant for originals of any size; else for images of one size, to which
    larger originals are resized first."""

    def __call__(
        self,
        images: UInt8[Tensor, "n channel height width"],
        *,
        size: int,
        params: Augment,
        generator: torch.Generator,
    ) -> Float[Tensor, "n channel size size"]:
        """One view of each image, in [0, 1], on the images' device, in channels-last memory.

        Args:
            images: The originals at their own size; one channel or three.
            generator: Draws everything; it lives on the images' device.
        """
        n, _, height, width = images.shape
        heights, widths = (
            torch.full((n,), float(s), device=images.device) for s in (height, width)
        )
        boxes = self.boxes(heights, widths, params, generator)
        return self.painted(images, boxes, size=size, params=params, generator=generator)

    def painted(
        self,
        images: UInt8[Tensor, "n channel height width"],
        boxes: Boxes | None,
        *,
        size: int,
        params: Augment,
        generator: torch.Generator,
    ) -> Float[Tensor, "n channel size size"]:
        """The view of what the boxes hold; None if the images are that already, at that size.

        Other arguments as of the call.
        """
        n, channels = images.shape[:2]
        paints = [p for paint in self.painters if (p := paint(n, size, params, generator))]
        memory = torch.contiguous_format if self.finishes else torch.channels_last
        views = torch.empty(n, channels, size, size, device=images.device, memory_format=memory)
        for part in _parts(views):
            view = frames.resample(
                images[part], boxes and boxes[part], size, kernel=params.resample
            )
            for paint in paints:
                view = paint(view, part)
            views[part] = view
        for finish in self.finishes:
            views = finish(views, generator)
        return views.contiguous(memory_format=torch.channels_last)


def _parts(views: Tensor) -> Iterator[slice]:
    """The batch in parts that fit a CPU's cache; as a whole on other devices."""
    n = len(views)
    step = min(max(1, _CACHED // views[0].numel()), _MOST) if views.device.type == "cpu" else n
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _whole(heights: Tensor, widths: Tensor, params: Augment, generator: torch.Generator) -> Boxes:
    return frames.whole(heights, widths)


def _shifted(
    heights: Tensor, widths: Tensor, params: Augment, generator: torch.Generator
) -> Boxes:
    return frames.shifted(heights, widths, flip=params.flip, generator=generator)


def _cropped(
    heights: Tensor, widths: Tensor, params: Augment, generator: torch.Generator
) -> Boxes:
    return frames.cropped(heights, widths, crop=params.crop, flip=params.flip, generator=generator)


def _jitter(n: int, size: int, params: Augment, generator: torch.Generator) -> Paint | None:
    # SimCLR's jitter, which leaves one view in five alone (Chen et al., 2020).
    near, hue = 0.4 * params.jitter, 0.1 * params.jitter
    return colour.jitter(n, reach=(near, near, near, hue), probability=0.8, generator=generator)


def _steady_jitter(n: int, size: int, params: Augment, generator: torch.Generator) -> Paint | None:
    # BCL's program jitters every view of its classifier, and never the hue.
    near = 0.4 * params.jitter
    return colour.jitter(n, reach=(near, near, near, 0.0), probability=1.0, generator=generator)


def _grey(n: int, size: int, params: Augment, generator: torch.Generator) -> Paint | None:
    return colour.lose_colour(n, probability=params.grey, generator=generator)


def _blur(n: int, size: int, params: Augment, generator: torch.Generator) -> Paint | None:
    return (
        colour.blur(n, size, probability=params.blur, generator=generator) if params.blur else None
    )


def _tilt(n: int, size: int, params: Augment, generator: torch.Generator) -> Paint | None:
    if not (params.rotate or params.shear):
        return None
    return frames.tilt(n, rotate=params.rotate, shear=params.shear, generator=generator)


_SIMCLR = (_tilt, _jitter, _grey, _blur)
VIEWS: dict[str, View] = {
    "none": View(_whole),
    "weak": View(_shifted, (_tilt,)),
    "policy": View(_shifted, (), (policy.auto_augment, policy.cutout)),
    "crop": View(_cropped, of_originals=True),
    "sim": View(_cropped, _SIMCLR, of_originals=True),
    "rand": View(_cropped, _SIMCLR, (policy.rand_augment,), of_originals=True),
    "class": View(_cropped, (_steady_jitter,), (policy.rand_augment,), of_originals=True),
}
"""Kinds of views by name.

none: resized only, for evaluation.
weak: shifted within a black border, mirrored and tilted.
policy: weak, then AutoAugment's CIFAR-10 policy and Cutout: the classifier's view on CIFAR-LT.
crop: a random resized crop, mirrored: the usual view of a linear probe on ImageNet.
sim: crop, then tilt, jitter, grey and blur: SimCLR's view.
rand: sim, then RandAugment.
class: crop, a jitter of every image, then RandAugment: BCL's classifier's view on ImageNet-LT.
"""
