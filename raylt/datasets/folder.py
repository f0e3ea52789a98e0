"""Your own images: a folder for each class, taken as they are or made long-tailed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from raylt.data.images import Splits
from raylt.data.own import OwnImages
from raylt.data.reading import tree
from raylt.data.reading.collection import Collection
from raylt.data.reading.paths import below
from raylt.datasets import _own

CHANNELS = 3
SIZE = None
CLASSES = None


class Config(OwnImages):
    """Images at `class/image`, at any depth, in every format that Pillow reads.

    Links are followed; hidden files and folders and `__MACOSX` are left out. Classes are counted
    in the order of their names as torchvision's ImageFolder does: `10` before `2`.
    """

    name: Literal["folder"] = "folder"  # pyright: ignore[reportIncompatibleVariableOverride]
    """The dataset."""
    images: str
    """Folder of the classes, below the data root."""
    validation_images: str | None = None
    """Folder of validation images with classes of the same names; without it `validation` images
    of each class are taken from `images`."""
    test_images: str | None = None
    """Folder of the sealed test images with classes of the same names; without it `test` images of
    each class are taken from `images`, before anything else."""

    def own_validation(self) -> str | None:
        """The key that names validation images of the user's own, if there are such."""
        return None if self.validation_images is None else "validation_images"


def load(config: Config, root: Path) -> Splits:
    """The parts of the folder.

    Raises:
        InputError: a folder is missing or holds no class, a class is not among those of the
            training images or has too few images, or a file is in two parts.
        EnvironmentError: a file is no image.
    """
    return _own.load(config, collection(config, root), root)


def collection(config: Config, root: Path) -> Collection:
    """The images, listed and not yet opened; as for `load`."""
    keys = {"train": "images", "validation": "validation_images", "test": "test_images"}
    folders = {
        part: below(root, name, key)
        for part, key in keys.items()
        if (name := getattr(config, key)) is not None
    }
    return tree.collection(folders)
