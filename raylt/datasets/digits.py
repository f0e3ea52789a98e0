"""Handwritten digits: the 1,797 real 8x8 images that ship with scikit-learn, made long-tailed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from sklearn.datasets import load_digits

from raylt.data.images import ArrayImages, Splits
from raylt.data.longtail import LongTailed, cut, hold_out

CHANNELS = 1
SIZE = 8
CLASSES = 10
POOL = 1797
"""Images of the whole set; its rarest class, the eight, has 174."""
TEST = 40
"""Test images of each class, taken before anything else."""


class Config(LongTailed):
    """The digits and their tail: 104 ... 5 images, 351 in all, at the imbalance 20."""

    name: Literal["digits"] = "digits"  # pyright: ignore[reportIncompatibleVariableOverride]
    """The dataset."""
    imbalance: float = Field(20.0, ge=1)
    """Images of the largest class over images of the smallest; 1 leaves the classes equal."""
    validation: int = Field(30, ge=0, le=100)
    """Images of each class that are held out for validation before the tail is cut."""

    def train_counts(self) -> tuple[int, ...] | None:
        """Training images of each digit; the largest class takes all that the rarest can give."""
        if self.indices is not None:
            return None
        return self.tail_counts(largest=174 - TEST - self.validation, classes=CLASSES)


def load(config: Config, root: Path) -> Splits:
    """The digits' parts; the images come with scikit-learn and not from `root`."""
    digits: Any = load_digits()
    assert digits.images.shape == (POOL, SIZE, SIZE)
    # The scans count ink from 0 to 16; uint8 images count from 0 to 255.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    everything = ArrayImages(pixels, digits.target.astype(np.int64))
    test = hold_out(everything.labels, [TEST] * CLASSES)
    return cut(
        everything.only(np.setdiff1d(np.arange(POOL), test)),
        everything.only(test),
        config,
        root=root,
        mean=(0.3053,),
        std=(0.3760,),
    )
