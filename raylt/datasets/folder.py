"""Your own images: a folder for each class, taken as they are or made long-tailed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from raylt.data.images import Splits
from raylt.data.own import OwnImages
from raylt.data.reading import tree
from raylt.data.reading.collection import Collection
from raylt.datasets import _own

CHANNELS = 3
SIZE = None
CLASSES = None


class Config(OwnImages):
    """Images at `class/image`, at any depth, in every format that Pillow reads.

    Links are followed; hidden files and folders and `__MACOSX` are left out. Classes are counted
    in the order of their names as torchvision's ImageFolder does: `10` before `2`.
    """

    name: Literal["folder"] = "folder"
    """The dataset."""
    images: str
    """Folder of the classes, below the data root."""
    validation_images: str | None = None
    """Folder of validation images with classes of the same names; without it `validation` images
    of each class are taken from `images`."""
    test_images: str | None = None
    """Folder of the sealed test images with classes of the same names; without it `test` images of
    each class are taken from `images`, before anything else."""

    places: ClassVar[str] = "images"


def load(config: Config, root: Path) -> Splits:
    """The parts of the folder; see `raylt.data.reading.tree` and `raylt.datasets._own.load`."""
    return _own.load(config, collection(config, root), root)


def collection(config: Config, root: Path) -> Collection:
    """The images, listed and not yet opened."""
    return tree.collection(config.paths(root))
