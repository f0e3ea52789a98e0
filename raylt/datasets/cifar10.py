"""CIFAR-10 made long-tailed: 10 classes of photographs of 32x32 pixels (Krizhevsky, 2009)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from raylt.data.archive import Archive
from raylt.data.images import Splits
from raylt.data.longtail import LongTailed
from raylt.datasets import _cifar

CHANNELS = 3
SIZE = 32
CLASSES = 10
BIBTEX = """
@techreport{krizhevsky2009learning,
  title={Learning Multiple Layers of Features from Tiny Images},
  author={Krizhevsky, Alex},
  institution={University of Toronto},
  year={2009}
}
"""
_WORDS = """
airplane automobile bird cat deer dog frog horse ship truck
"""
NAMES = tuple(_WORDS.split())
"""The classes, as the published file `batches.meta` names them."""

_SPLITS = (
    (6, 8, 4, 1, 7, 0, 3, 2, 5, 9),
    (3, 9, 7, 4, 0, 1, 2, 6, 8, 5),
    (0, 4, 2, 8, 5, 6, 7, 1, 9, 3),
    (4, 7, 0, 6, 1, 9, 8, 3, 2, 5),
    (2, 4, 8, 1, 0, 3, 9, 7, 6, 5),
)
"""The classes of SDCLR's five splits, from the largest to the smallest."""


class Config(LongTailed):
    """CIFAR-10 and its tail: 4500 ... 45 images, 11,165 in all, with a tenth for validation."""

    name: Literal["cifar10"] = "cifar10"
    """The dataset."""
    validation: int = Field(500, ge=0, le=4990)
    """Images of each class that are held out for validation before the tail is cut; 0 gives the
    published CIFAR-10-LT of 5000 ... 50 images, 12,406 in all."""
    few_shot: int | None = Field(45, ge=1)
    """Images of each class whose labels a few-shot probe may see, of the training images as far as
    they reach; 45 in SDCLR's lists."""
    split: int = Field(0, ge=0, le=5)
    """Which classes are large: 0 takes them in class order, 1 to 5 give each class as many images
    as SDCLR's five splits do, but others; the files of the splits are taken by `indices`."""
    normalise: Literal["cifar", "imagenet"] = "cifar"
    """Whose channel statistics the encoder normalises with; SDCLR's program uses ImageNet's."""

    pool: ClassVar = (CLASSES, 5000)

    def class_order(self, classes: int) -> Sequence[int]:
        """The classes from the largest to the smallest, (classes,)."""
        return _SPLITS[self.split - 1] if self.split else range(classes)


# As torchvision has it, but for the SHA-256; importing that takes two seconds.
ARCHIVE = Archive(
    dataset="cifar10",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    folder="cifar-10-batches-py",
    files={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)


def load(config: Config, root: Path) -> Splits:
    """The parts of the dataset; see `raylt.datasets._cifar.load`."""
    return _cifar.load(
        ARCHIVE,
        config,
        root,
        names=NAMES,
        sealed="test_batch",
        labels="labels",
        normalise=config.normalise,
    )
