"""What raw pixels reach: the floor that training must rise above to be worth anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raylt import metrics
from raylt.data.images import Images, Splits

_ENOUGH = 10_000
"""Labelled images that the floor looks at; beyond them it hardly moves, and its cost would."""


def floor(splits: Splits, labelled: Images) -> dict[str, float]:
    """Nearest neighbour and logistic regression on raw pixels, scored on the validation images.

    Args:
        splits: The dataset of the study.
        labelled: Exactly the images whose labels the study's probe or classifier sees.

    Returns:
        `floor/neighbour/...` and `floor/logistic/...` with accuracy, many, medium and few, as
        fractions; an empty group is absent.
    """
    # scikit-learn takes a second to import, and only the start of a study needs it.
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = _sample(labelled)
    pixels, labels = _pixels(labelled, known), labelled.labels[known]
    models = {
        "neighbour": KNeighborsClassifier(n_neighbors=1),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    seen = _pixels(splits.validation, np.arange(len(splits.validation)))
    found: dict[str, float] = {}
    for name, model in models.items():
        predictions = model.fit(pixels, labels).predict(seen)
        summary = metrics.summary(predictions, splits.validation.labels, splits.train_counts)
        for group in ("accuracy", "many", "medium", "few"):
            if group in summary:
                found[f"floor/{name}/{group}"] = summary[group]
    return found


def _sample(images: Images) -> NDArray[np.int64]:
    indices = np.arange(len(images))
    if len(images) <= _ENOUGH:
        return indices
    return np.sort(np.random.RandomState(0).permutation(indices)[:_ENOUGH])


def _pixels(images: Images, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    return images.take(indices).reshape(len(indices), -1).astype(np.float32) / np.float32(255)
