"""Your own images: a folder for each class, made long-tailed or taken as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from raylt.data.files import FileImages
from raylt.data.images import ArrayImages, Images, Splits
from raylt.data.longtail import LongTailed, cut, hold_out
from raylt.schema import InputError

CHANNELS = 3
SIZE = None
CLASSES = None

_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


class Config(LongTailed):
    """Images at `class/image`, at any depth; classes are counted in the order of their names."""

    name: Literal["folder"] = "folder"  # pyright: ignore[reportIncompatibleVariableOverride]
    """The dataset."""
    images: str
    """Folder of the classes, below the data root."""
    test_images: str | None = None
    """Folder of the sealed test images with the same classes; without it `test` images of each
    class are taken from `images`, before anything else."""
    test: int = Field(20, ge=1)
    """Test images of each class where there is no folder of them."""
    validation: int = Field(10, ge=0)
    """Images of each class that are held out for validation before the tail is cut."""
    natural: bool = False
    """Whether classes keep the sizes they have; else the tail is cut by the law."""
    resolution: int = Field(32, ge=8)
    """Height and width in pixels at which images are kept and evaluated."""
    keep: Literal["memory", "files"] = "memory"
    """Whether all images are decoded once, at `resolution`, or anew in each epoch from their files
    at their own size, for sets that do not fit."""
    workers: int = Field(4, ge=0)
    """Processes that decode images for each worker of a trial."""

    def counts_of(self, available: tuple[int, ...]) -> tuple[int, ...]:
        """Training images of each class, where `available` are at hand, in class order."""
        return available if self.natural else super().counts_of(available)


def load(config: Config, root: Path) -> Splits:
    """The parts of the folder.

    Raises:
        InputError: a folder is missing or holds no class, the two folders differ in their
            classes, or a class has too few images.
        EnvironmentError: a file is no image.
    """
    everything, classes = _images(root / config.images, config)
    test = None
    if config.test_images is not None:
        test, others = _images(root / config.test_images, config)
        if others != classes:
            odd = sorted(set(classes) ^ set(others))
            raise InputError(
                f"data.images and data.test_images must hold the same classes, but {odd[0]!r} is "
                "in one of them only; add it to the other, or remove it"
            )
    # What cannot be cut is told before the images are decoded, which may take minutes.
    splits = _cut(everything, test, config, root)
    if config.keep == "files":
        return splits
    return _cut(_decoded(everything), None if test is None else _decoded(test), config, root)


def _cut(everything: Images, test: Images | None, config: Config, root: Path) -> Splits:
    pool = everything
    if test is None:
        classes = int(everything.labels.max()) + 1
        held = hold_out(everything.labels, [config.test] * classes)
        test = everything.only(held)
        pool = everything.only(np.setdiff1d(np.arange(len(everything)), held))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return cut(pool, test, config, root=root, mean=mean, std=std)


def _decoded(images: FileImages) -> ArrayImages:
    return ArrayImages(images.take(np.arange(len(images))), images.labels)


def _images(folder: Path, config: Config) -> tuple[FileImages, list[str]]:
    """The images of a folder and the names of their classes."""
    if not folder.is_dir():
        raise InputError(f"data.images must be a folder below the data root, but {folder} is none")
    folders = (path for path in folder.iterdir() if path.is_dir())
    classes = sorted(path.name for path in folders if not path.name.startswith("."))
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = sorted(
            path.relative_to(folder).as_posix()
            for path in (folder / name).rglob("*")
            if path.suffix.lower() in _SUFFIXES
        )
        if not files:
            raise InputError(f"every class must have an image, but {folder / name} has none")
        names += files
        labels += [label] * len(files)
    if len(classes) < 2:
        raise InputError(
            f"{folder} must hold a folder for each class, at least two, but holds {len(classes)}"
        )
    images = FileImages(
        folder, np.array(names), np.array(labels, np.int64), config.resolution, config.workers
    )
    return images, classes
