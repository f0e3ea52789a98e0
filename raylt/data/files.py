"""Images in files: decoded when they are asked for, since they would not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raylt.schema import EnvironmentError, InputError

_MARGIN = 8 / 7
"""Evaluation resizes the shorter side to 256 pixels for views of 224, bilinearly, as both papers'
programs do."""


@dataclass(frozen=True, slots=True)
class FileImages:
    """Colour images in files below one folder."""

    root: Path
    """The folder."""
    names: NDArray[np.str_]
    """Path of each image below the folder, (n,)."""
    labels: NDArray[np.int64]
    """The class of each image, (n,)."""
    size: int
    """Height and width in pixels at which `take` shows an image."""
    workers: int
    """Threads or processes that decode at once."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images as they are evaluated, (len(indices), 3, size, size)."""
        shown = np.empty((len(indices), 3, self.size, self.size), np.uint8)

        def show(place: int) -> None:
            shown[place] = pixels(centred(self.open(int(indices[place])), self.size))

        with ThreadPoolExecutor(max(1, self.workers)) as threads:
            for _ in threads.map(show, range(len(indices))):
                pass  # an error of a thread is raised here
        return shown

    def only(self, indices: NDArray[np.int64]) -> FileImages:
        """The part of these images that `indices` names, in that order."""
        return FileImages(
            self.root, self.names[indices], self.labels[indices], self.size, self.workers
        )

    def open(self, index: int) -> Image.Image:
        """One image in colour and at its own size.

        Raises:
            EnvironmentError: the file is missing or no image.
        """
        path = self.root / str(self.names[index])
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except (OSError, SyntaxError, ValueError) as error:
            # PIL reports a damaged file by any of these.
            raise EnvironmentError(
                f"{path} must be an image, but cannot be read ({error}); fetch it again, or "
                "remove it from the dataset"
            ) from error


def centred(image: Image.Image, size: int) -> Image.Image:
    """The middle of an image: its shorter side resized to 8/7 of `size`, then a central square.

    Halves of a pixel go where torchvision's Resize and CenterCrop put them.
    """
    short, side = min(image.size), round(size * _MARGIN)
    wide, tall = (side * length // short for length in image.size)
    resized = image.resize((wide, tall), Image.Resampling.BILINEAR)
    left, top = round((wide - size) / 2), round((tall - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """(3, height, width) of an image in colour."""
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def read_list(path: Path, *, classes: int) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Paths and labels of a list with `path label` in each line, (n,) each.

    Raises:
        InputError: the list cannot be read or is empty, or a line is no path and class.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(
            f"a list of images must be a text file with `path class` in each line, but {path} "
            f"cannot be read ({reason}); name another list"
        ) from error
    names: list[str] = []
    labels: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        if not name or not label.isdecimal() or int(label) >= classes:
            raise InputError(
                f"{path}:{number}: must be a path and a class from 0 to {classes - 1}, but is "
                f"{line[:200]!r}; correct the line, or name another list"
            )
        names.append(name.strip())
        labels.append(int(label))
    if not names:
        raise InputError(
            f"a list of images must name at least one, but {path} is empty; name another list"
        )
    return np.array(names), np.array(labels, np.int64)


def require_all(root: Path, names: Sequence[str] | NDArray[np.str_], *, source: Path) -> None:
    """Raise unless every image of a list is there; each folder is looked through once.

    Raises:
        EnvironmentError: some are missing; the first is named.
    """
    folders: dict[str, set[str]] = {}
    for name in map(str, names):
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, set()).add(file)
    missing = [
        f"{folder}/{file}"
        for folder, files in folders.items()
        for file in sorted(files - _files(root / folder))
    ]
    if missing:
        raise EnvironmentError(
            f"every image of {source} must lie below {root}, but {len(missing)} of {len(names)} "
            f"do not, such as {missing[0]}; set data.images to the folder that they are in"
        )


def _files(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()
