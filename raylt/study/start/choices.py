"""What a first space has, given what the images are and how long a step takes: pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence

SIZES = (16, 24, 32, 48, 64, 96, 128, 160, 224)
"""Heights and widths that a space may begin with."""
LARGEST_ON_CPU = 64
_TRIALS = (24, 16, 12, 8)
"""Numbers of trials, the best first."""
_STEPS = 3000
"""Steps of one trial that are enough to learn from images of one's own."""
_MOST_EPOCHS, _FEWEST_OF_TINY = 200, 30
"""Epochs at most in an hour, and what the most is for sets of a few images."""
_LONGEST = 400
"""Epochs at most, however many hours there are."""
_RESERVE, _SHARE = 45.0, 0.8
"""Seconds of a search besides its trials, for Ray's start, the floor, the last epochs and the end
of MLflow, which a busy machine makes longer; and the share of the rest that is planned for, since
trials side by side are slower than one alone."""
FEWEST_EPOCHS = 6
"""A schedule, and a scheduler that stops weak trials, need some epochs."""


def held_out(smallest: int, classes: int, *, parts: int) -> int:
    """Images that each class gives for one part that is held out: a fifth of the smallest class,
    as long as a thousand images in all are enough to tell two settings apart; two at least where
    the smallest class still keeps more than half of its images to train on, else one.

    Args:
        parts: How many parts are taken from each class: validation, test, both or none.
    """
    if parts == 0:
        return 0
    least = 2 if smallest > 4 * parts else 1
    return max(least, min(smallest // 5, enough(classes)))


def enough(classes: int) -> int:
    """Images of each class that are enough for a part: a thousand in all, and 20 at least."""
    return max(20, 1000 // classes)


def size(shorter: Sequence[int], *, gpu: bool) -> int:
    """Height and width of the views: about what half of the images have, but what a machine
    without a GPU can train at most.

    Args:
        shorter: The shorter side of each image in pixels, rising.
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
    """A power of two: four steps an epoch at least, no more than a GPU holds of large views."""
    most = 256 if side <= 96 else 128
    return max(8, min(most, 2 ** int(math.log2(max(1, images / 4)))))


def planned(hours: float) -> float:
    """Seconds that trials may be planned for in a search of so many hours."""
    return _SHARE * budget(hours)


def budget(hours: float) -> float:
    """Seconds after which a search of so many hours must start nothing more."""
    return max(1800 * hours, 3600 * hours - _RESERVE)


def whole(seconds: float) -> float:
    """Seconds of a search whose trials are planned for so many."""
    return _RESERVE + seconds / _SHARE


def epochs(
    *,
    hours: float,
    concurrent: int,
    start: float,
    epoch: float,
    steps: int,
    images: int,
    validation: int,
) -> tuple[int, int]:
    """Trials and epochs of each, so that a search fits the time though no trial is stopped early.

    Args:
        hours: That the search may take; each beyond the first allows as many epochs again.
        concurrent: Trials at a time.
        start: Seconds of a trial besides its epochs.
        epoch: Seconds of an epoch, with what is scored and saved in it.
        images: Training images; few of them are learnt in few epochs.
        validation: Validation images; with more trials than there are, luck chooses.

    Returns:
        Trials, and epochs: many trials if each can learn enough, else fewer of more epochs.
    """
    most = max(_FEWEST_OF_TINY, min(_MOST_EPOCHS, images))
    enough = min(most, max(FEWEST_EPOCHS, math.ceil(_STEPS / steps)))
    chosen = (_TRIALS[-1], 0)
    for trials in (n for n in _TRIALS if n <= max(_TRIALS[-1], validation)):
        rounds = math.ceil(trials / concurrent)
        affordable = int((planned(hours) / rounds - start) / epoch)
        if affordable >= enough:
            return trials, min(affordable, max(enough, min(_LONGEST, int(hours * enough))))
        chosen = max(chosen, (trials, min(affordable, enough)), key=lambda pair: pair[1])
    return chosen[0], max(chosen[1], FEWEST_EPOCHS)
