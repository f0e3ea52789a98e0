"""What raw pixels reach: the floor that training must rise above to be worth anything."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from raylt import metrics
from raylt.data.images import Images, Splits

_ENOUGH = 10_000
"""Labelled images, and images to score, that the floor looks at; beyond them it hardly moves, and
its cost would."""
_SIDE = 32
"""Largest height and width in pixels at which it looks at them."""
_WEIGHTS = 2**19
"""Largest number of weights of the logistic regression, whose solver keeps twenty copies."""
_BLOCK = 256
"""Images that are decoded at once, at their own size."""


def floor(splits: Splits, labelled: Images) -> dict[str, float]:
    """Nearest neighbour and logistic regression on raw pixels, scored on the validation images.

    Memory is bounded whatever the dataset: at most 10,000 images of a part are drawn, once for
    all studies, and shrunk to at most 32x32 pixels by averaging; for the logistic regression
    further where there are hundreds of classes. Nothing is drawn or shrunk for the digits and the
    CIFAR sets with their default tails.

    Args:
        splits: The dataset of the study.
        labelled: Exactly the images whose labels the study's probe or classifier sees.

    Returns:
        `floor/neighbour/...` and `floor/logistic/...` with accuracy, many, medium and few, as
        fractions; an empty group is absent, and all are where nothing is held out.
    """
    # scikit-learn takes a second to import, and only the start of a study needs it.
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not len(splits.validation):
        return {}
    pixels, labels = _looked_at(labelled)
    seen, truth = _looked_at(splits.validation)
    narrow = math.isqrt(_WEIGHTS // (splits.classes * pixels.shape[1]))
    models = {
        "neighbour": (KNeighborsClassifier(n_neighbors=1), _SIDE),
        "logistic": (
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), max(1, narrow),
        ),
    }  # fmt: skip
    found: dict[str, float] = {}
    for name, (model, side) in models.items():
        model.fit(_rows(pixels, side), labels)
        summary = metrics.summary(model.predict(_rows(seen, side)), truth, splits.train_counts)
        for group in ("accuracy", "many", "medium", "few"):
            if group in summary:
                found[f"floor/{name}/{group}"] = summary[group]
    return found


def _looked_at(images: Images) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels in [0, 1] of at most `_ENOUGH` images, (n, channels, height, width), and labels."""
    chosen = np.arange(len(images))
    if len(images) > _ENOUGH:
        chosen = np.sort(np.random.RandomState(0).permutation(chosen)[:_ENOUGH])
    blocks = np.array_split(chosen, range(_BLOCK, len(chosen), _BLOCK))
    pixels = [shrunk(images.take(block).astype(np.float32), _SIDE) for block in blocks]
    return np.concatenate(pixels) / np.float32(255), images.labels[chosen]


def shrunk(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Images of at most `side` pixels either way, by averaging; smaller ones as they are.

    Args:
        images: (n, channels, height, width).
        side: Largest height and width in pixels.
    """
    *_, height, width = images.shape
    if max(height, width) <= side:
        return images
    to = (min(height, side), min(width, side))
    return adaptive_avg_pool2d(torch.from_numpy(images), to).numpy()


def _rows(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return shrunk(images, side).reshape(len(images), -1)
