"""Which classes a trial gets right: a small file beside its checkpoints.

It holds what was taken for what at the last scored epoch and at the one with the highest
accuracy, on the validation images. Only cells that are not empty are kept, so that thousands of
classes need no more room than there are validation images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from raylt import metrics, scratch
from raylt.schema import EnvironmentError

FORMAT = 1
FILE = "classes.json"


@dataclass(frozen=True, slots=True)
class Scored:
    """The predictions of one scored epoch, counted."""

    epoch: int
    accuracy: float
    """Mean accuracy over the classes."""
    cells: tuple[tuple[int, int, int], ...]
    """True class, predicted class, and how many images; pairs that never occur are left out."""

    def confusion(self, classes: int) -> NDArray[np.int64]:
        """How often a class (row) was taken for another (column), (classes, classes)."""
        table = np.zeros((classes, classes), np.int64)
        for true, predicted, images in self.cells:
            table[true, predicted] = images
        return table

    def per_class(self, classes: int) -> NDArray[np.float64]:
        """Accuracy of each class, (classes,); nan for a class without an image."""
        right, images = np.zeros(classes), np.zeros(classes)
        for true, predicted, count in self.cells:
            images[true] += count
            right[true] += count * (true == predicted)
        return np.where(images > 0, right / np.maximum(images, 1), np.nan)


@dataclass(frozen=True, slots=True)
class Classes:
    """What is known of a trial's classes."""

    train_counts: tuple[int, ...]
    """Training images of each class, in class order."""
    last: Scored
    """The last scored epoch, by which the trial is judged."""
    best: Scored
    """The scored epoch with the highest accuracy, the first of them where there are several."""
    names: tuple[str, ...] = ()
    """The name of each class; none in a file of version 0.1.0."""


_CLASSES = TypeAdapter(Classes)


def keep(
    folder: Path,
    *,
    epoch: int,
    predictions: NDArray[np.int64],
    labels: NDArray[np.int64],
    train_counts: Sequence[int],
    names: Sequence[str] = (),
) -> Classes:
    """Write down a scored epoch in a trial's folder.

    A run that goes on from its checkpoint scores the same epochs alike, so nothing is undone.

    Args:
        predictions: Predicted class of each validation image, (n,).
        labels: True class of each validation image, (n,).
        train_counts: Training images of each class, (classes,).
        names: The name of each class, (classes,), where there are names.
    """
    classes = len(train_counts)
    table = metrics.confusion(predictions, labels, classes)
    rows, columns = np.nonzero(table)
    cells = tuple(
        (int(true), int(predicted), int(table[true, predicted]))
        for true, predicted in zip(rows, columns, strict=True)
    )
    accuracy = metrics.summary(predictions, labels, train_counts).get("accuracy", 0.0)
    now = Scored(epoch, accuracy, cells)
    before = read(folder)
    best = before.best if before and before.best.accuracy >= now.accuracy else now
    counted = Classes(tuple(train_counts), last=now, best=best, names=tuple(names))
    folder.mkdir(exist_ok=True)
    with scratch.draft(folder / FILE) as draft:
        draft.write_text(text(counted), "utf-8")
    return counted


def text(classes: Classes) -> str:
    """The file's content."""
    return json.dumps({"format": FORMAT, "split": "validation", **asdict(classes)})


def read(folder: Path) -> Classes | None:
    """What a trial left behind, or None where nothing was scored yet.

    Raises:
        EnvironmentError: the file is damaged, or a newer raylt wrote it.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
        if (version := json.loads(content)["format"]) > FORMAT:
            raise EnvironmentError(
                f"{path} must be of format {FORMAT} or older, but is of format {version}; it was "
                f"written by a newer raylt: update this one"
            )
        return _CLASSES.validate_json(content)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise EnvironmentError(
            f"{path} must be readable, but is damaged ({reason}); remove it"
        ) from error
