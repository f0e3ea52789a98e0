"""Handwritten digits: the 1,797 real 8x8 images that ship with scikit-learn, made long-tailed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from raylt.data.images import ArrayImages, Splits
from raylt.data.longtail import LongTailed, cut, hold_out

CHANNELS = 1
SIZE = 8
CLASSES = 10
BIBTEX = """
@misc{alpaydin1998optical,
  title={Optical Recognition of Handwritten Digits},
  author={Alpaydin, Ethem and Kaynak, Cenk},
  howpublished={UCI Machine Learning Repository},
  year={1998},
  doi={10.24432/C50P49}
}
"""
POOL = 1797
"""Images of the whole set; its rarest class, the eight, has 174."""
TEST = 40
"""Test images of each class, taken before anything else."""


class Config(LongTailed):
    """The digits and their tail: 104 ... 5 images, 351 in all, at the imbalance 20."""

    name: Literal["digits"] = "digits"
    """The dataset."""
    imbalance: float = Field(20.0, ge=1)
    """Images of the largest class over images of the smallest; 1 leaves the classes equal."""
    validation: int = Field(30, ge=0, le=100)
    """Images of each class that are held out for validation before the tail is cut."""

    # The largest class takes all that the rarest can give.
    pool: ClassVar = (CLASSES, 174 - TEST)


def load(config: Config, root: Path) -> Splits:
    """The digits' parts; the images come with scikit-learn and not from `root`."""
    scans, labels = _scans()
    # The scans count ink from 0 to 16; uint8 images count from 0 to 255.
    pixels = np.round(scans * (255 / 16)).astype(np.uint8)[:, None]
    everything = ArrayImages(pixels, labels)
    test = hold_out(everything.labels, [TEST] * CLASSES)
    return cut(
        everything.only(np.setdiff1d(np.arange(POOL), test)),
        everything.only(test),
        config,
        root=root,
        mean=(0.3053,),
        std=(0.3760,),
    )


def _scans() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The scans (n, 8, 8) and their digits (n,), as `sklearn.datasets.load_digits` has them.

    Its file is read without it: every trial's process would import pandas and half of SciPy for
    one table, longer than it takes to train for some epochs.
    """
    package = importlib.util.find_spec("sklearn")
    assert package is not None, "scikit-learn is a requirement of raylt"
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    table = np.loadtxt(file, delimiter=",")
    assert table.shape == (POOL, SIZE * SIZE + 1)
    return table[:, :-1].reshape(POOL, SIZE, SIZE), table[:, -1].astype(np.int64)
