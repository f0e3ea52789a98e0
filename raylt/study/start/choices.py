"""What a first space has, given what the images are and how long a step takes: pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from raylt.schema import InputError

SIZES = (16, 24, 32, 48, 64, 96, 128, 160, 224)
"""Heights and widths that a space may begin with."""
LARGEST_ON_CPU = 64
_TRIALS = (24, 16, 12, 8)
"""Numbers of trials, the best first."""
_STEPS = 3000
"""Steps of one trial that are enough to learn from images of one's own."""
_MOST_EPOCHS = 300
FEWEST_EPOCHS = 6
"""A schedule, and a scheduler that stops weak trials, need some epochs."""


def held_out(smallest: int, classes: int, *, parts: int) -> int:
    """Images that each class gives for one part that is held out: a fifth of the smallest class,
    as long as a thousand images in all are enough to tell two settings apart.

    Args:
        smallest: Images of the smallest class.
        classes: How many there are.
        parts: How many parts are taken from each class: validation, test, both or none.

    Raises:
        InputError: the smallest class is too small to give one image to each part and keep one.
    """
    if parts == 0:
        return 0
    if smallest < parts + 1:
        raise InputError(
            f"every class must have {parts + 1} images, 1 to train on and 1 for each part that is "
            f"held out, but the smallest has {smallest}"
        )
    return max(1, min(smallest // 5, max(20, 1000 // classes)))


def points(images: int) -> float:
    """What one of so many validation images is worth, in points of accuracy."""
    return 100 / images


def size(shorter: Sequence[int], *, gpu: bool) -> int:
    """Height and width of the views: about what half of the images have, but what a machine
    without a GPU can train at most.

    Args:
        shorter: The shorter side of each image in pixels, rising.
        gpu: Whether a GPU trains.
    """
    most = SIZES[-1] if gpu else LARGEST_ON_CPU
    usual = shorter[len(shorter) // 2] if shorter else SIZES[2]
    return max([SIZES[0], *(side for side in SIZES if side <= min(most, 1.15 * usual))])


def encoder(images: int, side: int, *, gpu: bool) -> str:
    """The encoder for so many training images of a size."""
    if not gpu or (images < 2000 and side <= 32):
        return "small"
    return "resnet50" if images >= 50_000 and side > 64 else "resnet18"


def batch_size(images: int, side: int) -> int:
    """A power of two: at least four steps an epoch, and no more than a GPU holds of large views.

    Args:
        images: Training images.
        side: Height and width of the views.
    """
    most = 256 if side <= 96 else 128
    return max(8, min(most, 2 ** int(math.log2(max(1, images / 4)))))


def epochs(
    *, hours: float, concurrent: int, start: float, epoch: float, steps: int
) -> tuple[int, int]:
    """Trials and epochs of each, so that a search fits the time though no trial is stopped early.

    Args:
        hours: Of the search.
        concurrent: Trials at a time.
        start: Seconds of a trial besides its epochs.
        epoch: Seconds of an epoch, with what is scored and saved in it.
        steps: Steps of an epoch.

    Returns:
        Trials, and epochs: many trials if each can learn enough, else fewer of more epochs.
    """
    enough = min(_MOST_EPOCHS, max(FEWEST_EPOCHS, math.ceil(_STEPS / steps)))
    chosen = (_TRIALS[-1], 0)
    for trials in _TRIALS:
        rounds = math.ceil(trials / concurrent)
        affordable = int((3600 * hours / rounds - start) / epoch)
        if affordable >= enough:
            return trials, enough
        chosen = max(chosen, (trials, min(affordable, enough)), key=lambda pair: pair[1])
    return chosen[0], max(chosen[1], FEWEST_EPOCHS)
