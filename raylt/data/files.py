"""Images in files: decoded when they are asked for, since they would not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raylt.data.reading import decode
from raylt.data.reading.collection import Collection
from raylt.data.reading.paths import listing, shown
from raylt.schema import EnvironmentError

_MARGIN = 8 / 7
"""Evaluation resizes the shorter side to 256 pixels for views of 224, bilinearly, as both papers'
programs do."""
_LONGEST = 32
"""Times its height that an image may be wide, or the other way round, before it is resized: a line
of one pixel would become a band of gigabytes."""


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

    @classmethod
    def of(cls, whole: Collection, size: int, workers: int) -> dict[str, FileImages]:
        """The images of each part of a collection, whose files are not opened yet."""
        return {
            name: cls(
                part.folder, np.array(part.names), np.array(part.labels, np.int64), size, workers
            )
            for name, part in whole.parts.items()
        }

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images as they are evaluated, (len(indices), 3, size, size).

        Raises:
            EnvironmentError: some of them cannot be read; each is named, with the reason.
        """
        images, reasons = self.decoded(indices)
        if reasons:
            raise unreadable([f"{self.path(index)}: {text}" for index, text in reasons.items()])
        return images

    def decoded(
        self, indices: NDArray[np.int64], *, keep: bool = True
    ) -> tuple[NDArray[np.uint8], dict[int, str]]:
        """The images as they are evaluated, black where one cannot be read, and why by its index;
        no pixels unless they are to be kept."""
        pixels = np.zeros((len(indices) if keep else 0, 3, self.size, self.size), np.uint8)
        reasons: dict[int, str] = {}

        def show(place: int) -> None:
            index = int(indices[place])
            try:
                image = decode.decoded(self.root / str(self.names[index]))
            except decode.Unreadable as error:
                reasons[index] = str(error)
                return
            if keep:
                pixels[place] = as_array(centred(image, self.size))

        with ThreadPoolExecutor(max(1, self.workers)) as threads:
            for _ in threads.map(show, range(len(indices))):
                pass  # an error of a thread is raised here
        return pixels, dict(sorted(reasons.items()))

    def only(self, indices: NDArray[np.int64]) -> FileImages:
        """The part of these images that `indices` names, in that order."""
        return replace(self, names=self.names[indices], labels=self.labels[indices])

    def path(self, index: int) -> str:
        """Where an image is, for messages."""
        return shown(self.root / str(self.names[index]))

    def open(self, index: int) -> Image.Image:
        """One image in colour and at its own size.

        Raises:
            EnvironmentError: the file is missing or no image.
        """
        try:
            return decode.decoded(self.root / str(self.names[index]))
        except decode.Unreadable as error:
            raise unreadable([f"{self.path(index)}: {error}"]) from error


def unreadable(images: Sequence[str]) -> EnvironmentError:
    """What to say of images that cannot be read, each with its path and the reason."""
    return EnvironmentError(
        f"every image must be readable, but {len(images)} cannot be read; mend or remove them, or "
        f"leave them out with `data.broken: skip`, which folder and table have\n{listing(images)}"
    )


def centred(image: Image.Image, size: int) -> Image.Image:
    """The middle of an image: its shorter side resized to 8/7 of `size`, then a central square.

    Halves of a pixel go where torchvision's Resize and CenterCrop put them.
    """
    short, side = min(image.size), round(size * _MARGIN)
    wide, tall = (min(length, short * _LONGEST) for length in image.size)
    if (wide, tall) != image.size:
        left, top = (image.width - wide) // 2, (image.height - tall) // 2
        image = image.crop((left, top, left + wide, top + tall))
    wide, tall = (side * length // short for length in image.size)
    resized = image.resize((wide, tall), Image.Resampling.BILINEAR)
    left, top = round((wide - size) / 2), round((tall - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def centre(size: int) -> float:
    """The share of the shorter side that `centred` keeps."""
    return size / round(size * _MARGIN)


def as_array(image: Image.Image) -> NDArray[np.uint8]:
    """(3, height, width) of an image in colour."""
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
