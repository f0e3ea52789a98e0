"""Accuracy per class, and its cut into many, medium and few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Groups = dict[str, tuple[int, ...]]
"""The classes of each shot group, "many", "medium" and "few"; an empty group is absent."""


def groups(train_counts: Sequence[int], *, by: Literal["thresholds", "thirds"]) -> Groups:
    """The classes of each shot group, in class order.

    Args:
        train_counts: Training images of each class in use, (classes,).
        by: "thresholds" is >100, 20 to 100 and <20 images (Liu et al., CVPR 2019); "thirds" takes
            a third of the classes (rounded down) as few, the next third as medium and the rest as
            many (Jiang et al., ICML 2021); among equal counts the lower class is the larger one.
    """
    counts = np.asarray(train_counts)
    if by == "thresholds":
        cut = {
            "many": np.flatnonzero(counts > 100),
            "medium": np.flatnonzero((counts >= 20) & (counts <= 100)),
            "few": np.flatnonzero(counts < 20),
        }
    else:
        largest_first = np.argsort(-counts, kind="stable")
        third = len(counts) // 3
        many, medium, few = np.split(largest_first, [len(counts) - 2 * third, len(counts) - third])
        cut = {"many": many, "medium": medium, "few": few}
    return {
        name: tuple(np.sort(classes).tolist()) for name, classes in cut.items() if len(classes)
    }


def confusion(predictions: ArrayLike, labels: ArrayLike, classes: int) -> NDArray[np.int64]:
    """How often a class (row) was taken for another (column), (classes, classes).

    Raises:
        ValueError: the two sequences differ in length, or a value is no class.
    """
    predicted, true = np.asarray(predictions), np.asarray(labels)
    if predicted.shape != true.shape or predicted.ndim != 1:
        raise ValueError(
            "predictions and labels must be two sequences of equal length, but have the shapes "
            f"{predicted.shape} and {true.shape}"
        )
    for name, values in (("predictions", predicted), ("labels", true)):
        if values.size and not (values.min() >= 0 and values.max() < classes):
            raise ValueError(
                f"{name} must lie in 0..{classes - 1}, but go from {values.min()} "
                f"to {values.max()}"
            )
    cells = true.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def per_class(predictions: ArrayLike, labels: ArrayLike, classes: int) -> NDArray[np.float64]:
    """Accuracy of each class, (classes,); nan for a class without a test image."""
    table = confusion(predictions, labels, classes)
    images = table.sum(1)
    return np.where(images > 0, table.diagonal() / np.maximum(images, 1), np.nan)


def summary(
    predictions: ArrayLike, labels: ArrayLike, train_counts: Sequence[int]
) -> dict[str, float]:
    """Every number that is recorded of a scored epoch, by its name; what is empty is absent.

    `accuracy`; `many`, `medium`, `few` by thresholds and under `thirds/`; `worst`, the class with
    the lowest accuracy; `harmonic`, the harmonic mean over classes, 0 if a class is always
    missed; `thirds/std` and `shots/std`, the population standard deviation of the three means by
    thirds and by thresholds: Jiang et al. (ICML 2021) give the first for CIFAR and the second for
    ImageNet-100-LT. `std` is what 0.1.0 called `thirds/std`.

    Means count their classes alike, however many images they have; on a balanced set `accuracy`
    is therefore the top-1 accuracy.

    Args:
        predictions: Predicted class of each image, (n,).
        labels: True class of each image, (n,).
        train_counts: Training images of each class, (classes,).
    """
    shares = per_class(predictions, labels, len(train_counts))
    thirds = _group_means(shares, groups(train_counts, by="thirds"))
    shots = _group_means(shares, groups(train_counts, by="thresholds"))
    numbers = shots | {f"thirds/{name}": value for name, value in thirds.items()}
    scored = shares[~np.isnan(shares)]
    if len(scored):
        numbers["accuracy"] = float(scored.mean())
        numbers["worst"] = float(scored.min())
        numbers["harmonic"] = float(len(scored) / (1 / scored).sum()) if scored.all() else 0.0
    if thirds:
        numbers["std"] = numbers["thirds/std"] = float(np.std(list(thirds.values())))
    if len(shots) == 3:
        numbers["shots/std"] = float(np.std(list(shots.values())))
    return numbers


def _group_means(shares: NDArray[np.float64], cut: Groups) -> dict[str, float]:
    means: dict[str, float] = {}
    for name, classes in cut.items():
        of_group = shares[list(classes)]
        if len(scored := of_group[~np.isnan(of_group)]):
            means[name] = float(scored.mean())
    return means


def groups_of(metrics: dict[str, float], *, of: str, to: str) -> dict[str, float]:
    """The accuracies over all classes and over the shot groups, under other names.

    Args:
        of: What their names begin with there.
        to: What their names begin with in the result.
    """
    groups = ("accuracy", "many", "medium", "few")
    return {f"{to}{name}": metrics[key] for name in groups if (key := f"{of}{name}") in metrics}
