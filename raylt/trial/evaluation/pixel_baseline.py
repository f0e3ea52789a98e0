"""What raw pixels reach: the floor that training must rise above to be worth anything."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from raylt import metrics
from raylt.data.images import Images, Splits
from raylt.nn import probe

ENOUGH = 12_500
"""Labelled images, and images to score, that the floor looks at; more of them cost time in
proportion. CIFAR-10-LT as published has 12,406."""
SIDE = 32
"""Largest height and width in pixels at which it looks at them."""
WEIGHTS = 2**19
"""Largest number of weights of the logistic regression, whose solver keeps twenty copies."""
BLOCK = 256
"""Images that are decoded at once, at their own size."""


def floor(splits: Splits, labelled: Images) -> dict[str, float]:
    """Nearest neighbour and logistic regression on raw pixels, scored on the validation images;
    they see exactly the labels that the study's probe or classifier sees.

    The neighbour is the closest image by its pixels, the regression scikit-learn's default on
    standardised pixels. Memory is bounded whatever the dataset: at most 12,500 images of a part
    are drawn, once for all studies, and shrunk to at most 32x32 pixels by averaging; for the
    logistic regression further where there are hundreds of classes. Nothing is drawn or shrunk for
    the digits and for the tails of the CIFAR sets at an imbalance of 100; beyond, the floor is
    that of a sample, in which rare classes may be missing.

    Returns:
        `floor/neighbour/...` and `floor/logistic/...` with accuracy, many, medium and few, as
        fractions; an empty group is absent, and all are where nothing is held out.
    """
    if not len(splits.validation):
        return {}
    pixels, labels = _looked_at(labelled)
    seen, truth = _looked_at(splits.validation)
    narrow = max(1, math.isqrt(WEIGHTS // (splits.classes * pixels.shape[1])))
    known, asked = _rows(pixels, SIDE), _rows(seen, SIDE)
    nearest = torch.cat([torch.cdist(some, known).argmin(1) for some in asked.split(BLOCK)])
    predictions = {
        "neighbour": labels[nearest.numpy()],
        "logistic": _classified(
            _rows(pixels, narrow), labels, _rows(seen, narrow), classes=splits.classes
        ),
    }
    scores: dict[str, float] = {}
    for name, predicted in predictions.items():
        summary = metrics.summary(predicted, truth, splits.train_counts)
        scores |= metrics.groups_of(summary, of="", to=f"floor/{name}/")
    return scores


def _classified(
    known: Tensor, labels: NDArray[np.int64], asked: Tensor, *, classes: int
) -> NDArray[np.int64]:
    """The class of each row of `asked`; the penalty is scikit-learn's at C = 1."""
    head = probe.logistic(
        known, torch.from_numpy(labels), classes=classes, decay=1 / len(known), tolerance=1e-4
    )
    return head(asked).argmax(1).numpy()


def _looked_at(images: Images) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels in [0, 1] of at most `ENOUGH` images, (n, channels, height, width), and labels."""
    chosen = np.arange(len(images))
    if len(images) > ENOUGH:
        chosen = np.sort(np.random.RandomState(0).permutation(chosen)[:ENOUGH])
    blocks = np.array_split(chosen, range(BLOCK, len(chosen), BLOCK))
    pixels = [shrunk(images.take(block).astype(np.float32), SIDE) for block in blocks]
    return np.concatenate(pixels) / np.float32(255), images.labels[chosen]


def shrunk(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Images (n, channels, height, width) of at most `side` pixels either way, by averaging;
    smaller ones as they are."""
    *_, height, width = images.shape
    if max(height, width) <= side:
        return images
    to = (min(height, side), min(width, side))
    return adaptive_avg_pool2d(torch.from_numpy(images), to).numpy()


def _rows(images: NDArray[np.float32], side: int) -> Tensor:
    return torch.from_numpy(shrunk(images, side)).flatten(1)
