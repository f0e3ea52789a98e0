"""Images and their labels, and the parts that a dataset is cut into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from raylt.data.reading.paths import shown


@runtime_checkable
class Images(Protocol):
    """A sequence of labelled images; where the pixels lie is its own affair."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image, (n,)."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images at `indices` as (len(indices), channels, height, width)."""
        ...

    def only(self, indices: NDArray[np.int64]) -> Images:
        """The part of these images that `indices` names, in that order."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayImages:
    """Images that fit into memory: some or all of an array, which the parts of a dataset share."""

    pool: NDArray[np.uint8]
    """The array, (m, channels, height, width)."""
    labels: NDArray[np.int64]
    """The class of each image, (n,)."""
    rows: NDArray[np.int64] | None = None
    """Which of the array they are, in order, (n,); None for all of it."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images at `indices`, (len(indices), channels, height, width)."""
        return self.pool[indices if self.rows is None else self.rows[indices]]

    def only(self, indices: NDArray[np.int64]) -> ArrayImages:
        """The part of these images that `indices` names, in that order; no image is copied."""
        rows = indices if self.rows is None else self.rows[indices]
        return ArrayImages(self.pool, self.labels[indices], rows)


class Sealed:
    """Stands for the test images wherever they must not be seen: any look at it is an error."""

    def _refuse(self, _: object = None) -> NoReturn:
        raise PermissionError(
            "training must not look at the test images; only `raylt confirm` opens them, and "
            "counts it"
        )

    labels = property(_refuse)
    __len__ = take = only = _refuse


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What photographs are normalised with where nothing else is known of them."""
_NAMED = 20
"""Images that were left out and are kept by name."""


@dataclass(frozen=True, slots=True)
class Splits:
    """A dataset as one study sees it.

    The validation images are taken from the training pool, per class, before the tail is cut;
    no image of `train`, `balanced` or `few_shot` is a validation image. `test` is sealed: only
    `raylt confirm` reads it.
    """

    train: Images
    """The long-tailed training set."""
    balanced: Images
    """Labels for a full-shot probe: the training pool without the validation images, or a part."""
    few_shot: Images
    """Labels for a few-shot probe, such as one per cent of the pool, at least 4 images a class."""
    validation: Images
    test: Images
    classes: int
    mean: tuple[float, ...]
    """Mean of each channel that pixels in [0, 1] are normalised with, inside the encoder."""
    std: tuple[float, ...]
    """Standard deviation of each channel, for pixels in [0, 1]."""
    centre: float = 1.0
    """Share of the shorter side of an image that evaluation shows: a central square."""
    names: tuple[str, ...] = ()
    """The name of each class, (classes,); their numbers where there are no names."""
    broken: tuple[str, ...] = ()
    """The images that were left out since they cannot be read, by their names."""
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    """What lay among the images and is none, such as `.txt`, and how many files of it."""

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", tuple(map(str, range(self.classes))))

    @property
    def facts(self) -> dict[str, Any]:
        """What a study keeps of its data: classes by name and size, what was left out, and how
        images are shown; see `black`."""
        numbered = self.names == tuple(map(str, range(self.classes)))
        return {
            "classes": [] if numbered else [*map(shown, self.names)],
            "broken": len(self.broken),
            "broken_names": [*map(shown, self.broken[:_NAMED])],
            "left_out": dict(self.left_out),
            "counts": self.counts,
            "shape": self.shape,
            "centre": self.centre,
            "mean": self.mean,
            "std": self.std,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of the training images, of which there is one at least."""
        return self.train.take(np.zeros(1, np.int64)).shape[1:]

    @property
    def counts(self) -> dict[str, list[int]]:
        """Images of each class by part, in class order."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            name: np.bincount(part.labels, minlength=self.classes).tolist()
            for name, part in parts.items()
        }

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Training images of each class, in class order."""
        return tuple(np.bincount(self.train.labels, minlength=self.classes).tolist())

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over the labels, the order and sampled pixels of every part.

        Two studies may be compared only if their fingerprints are equal.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.balanced, self.few_shot, self.validation, self.test):
            digest.update(np.ascontiguousarray(part.labels).tobytes())
            step = max(1, len(part) // 64)
            digest.update(part.take(np.arange(0, len(part), step)).tobytes())
        for image in self.broken:
            digest.update(os.fsencode(image))
        return digest.hexdigest()[:16]


def black(facts: Mapping[str, Any]) -> Splits:
    """Parts like those that a study kept the facts of, with as many training images, all black:
    enough for a trained model, whose weights have seen the real ones."""
    counts = facts["counts"]["train"]
    labels = np.repeat(np.arange(len(counts)), counts)
    images = ArrayImages(np.broadcast_to(np.uint8(0), (len(labels), *facts["shape"])), labels)
    none = images.only(np.arange(0))
    return Splits(
        train=images,
        balanced=images,
        few_shot=images,
        validation=none,
        test=none,
        classes=len(counts),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        centre=facts["centre"],
        names=tuple(facts["classes"]),
    )
