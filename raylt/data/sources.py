"""Where the views of a step come from: a set on the device, or files decoded ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from raylt.data import files
from raylt.data.augment import View
from raylt.data.files import FileImages
from raylt.data.frames import Boxes, Kernel
from raylt.data.images import Images
from raylt.schema import EnvironmentError
from raylt.sections import Augment

_PIECE = 32
"""Images that one process decodes before it hands them over."""

Views = tuple[Float[Tensor, "n channel size size"], ...]
Originals = UInt8[Tensor, "n channel height width"]


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """The views that are wanted of every image."""

    views: tuple[View, ...]
    size: int
    params: Augment


class Resident:
    """The whole set on the device as uint8: a step needs nothing from the host."""

    def __init__(self, images: Images, looks: ViewSpec, device: torch.device) -> None:
        self._looks = looks
        self._pixels = torch.from_numpy(images.take(np.arange(len(images)))).to(device)

    def views(
        self, order: Int[Tensor, " n"], sizes: Sequence[int], generator: torch.Generator
    ) -> Iterator[Views]:
        """The views of one step after the other.

        Args:
            order: The images of all steps of an epoch, on the CPU.
            sizes: How many of them each step takes.
            generator: Draws the views, on the device.
        """
        params, size = self._looks.params, self._looks.size
        for chosen in order.to(self._pixels.device).split(list(sizes)):
            images = self._pixels[chosen]
            yield tuple(
                view(images, size=size, params=params, generator=generator)
                for view in self._looks.views
            )


class Streamed:
    """Images decoded and cropped by other processes, some steps ahead; colours on the device."""

    def __init__(self, images: FileImages, looks: ViewSpec, device: torch.device) -> None:
        self._looks, self._device = looks, device
        self._pieces: list[_Piece] = []
        """Those of the epoch to come; the loader's processes live on from epoch to epoch."""
        several = images.workers > 0
        self._loader = DataLoader(
            _Decoder(images, looks),
            batch_size=None,
            sampler=self._pieces,
            num_workers=images.workers,
            persistent_workers=several,
            pin_memory=device.type == "cuda",
            # A fork of a process with threads, as this one is, may hang.
            multiprocessing_context="forkserver" if several else None,
            # Else the loader would draw from torch's own generator.
            generator=torch.Generator(),
        )

    def views(
        self, order: Int[Tensor, " n"], sizes: Sequence[int], generator: torch.Generator
    ) -> Iterator[Views]:
        """The views of one step after the other; arguments as of `Resident.views`."""
        steps = [step.split(_PIECE) for step in order.split(list(sizes))]
        host = torch.Generator().manual_seed(generator.initial_seed())
        self._pieces[:] = [
            _Piece(int(torch.randint(2**62, (), generator=host)), piece.numpy())
            for step in steps
            for piece in step
        ]
        decoded = iter(self._loader)
        for step in steps:
            pieces: list[list[Tensor]] = []
            for piece in islice(decoded, len(step)):
                if isinstance(piece, EnvironmentError):
                    raise piece
                pieces.append(piece)
            originals = [
                torch.cat([part.to(self._device, non_blocking=True) for part in parts])
                for parts in zip(*pieces, strict=True)
            ]
            yield tuple(
                self._view(view, images, generator)
                for view, images in zip(self._looks.views, originals, strict=True)
            )

    def _view(self, view: View, images: Originals, generator: torch.Generator) -> Tensor:
        params, size = self._looks.params, self._looks.size
        if view.of_originals:
            return view.painted(images, None, size=size, params=params, generator=generator)
        return view(images, size=size, params=params, generator=generator)


class _Piece(NamedTuple):
    seed: int
    indices: NDArray[np.int64]


class _Decoder(Dataset[list[Tensor] | EnvironmentError]):
    """Decodes a piece: for each view (n, 3, size, size), cropped if the view crops originals."""

    def __init__(self, images: FileImages, looks: ViewSpec) -> None:
        self._images, self._looks = images, looks

    def __getitem__(self, piece: _Piece) -> list[Tensor] | EnvironmentError:
        try:
            originals = [self._images.open(int(index)) for index in piece.indices]
        except EnvironmentError as error:
            # An exception would come out of the loader as a wall of text.
            return error
        generator = torch.Generator().manual_seed(piece.seed)
        widths, heights = torch.tensor([image.size for image in originals]).float().unbind(1)
        shown: list[Tensor] = []
        for view in self._looks.views:
            if view.of_originals:
                boxes = view.boxes(heights, widths, self._looks.params, generator)
                kernel = self._looks.params.resample
                cropped = _crop(originals, boxes, self._looks.size, kernel)
            else:
                cropped = [files.centred(image, self._images.size) for image in originals]
            shown.append(torch.from_numpy(np.stack([files.as_array(image) for image in cropped])))
        return shown


def _crop(
    originals: Sequence[Image.Image], boxes: Boxes, size: int, kernel: Kernel
) -> list[Image.Image]:
    filter_ = Image.Resampling[kernel.upper()]
    sides = torch.stack((boxes.left, boxes.top, boxes.width, boxes.height)).T.tolist()
    cropped: list[Image.Image] = []
    for image, (left, top, width, height), mirrored in zip(
        originals, sides, boxes.mirrored.tolist(), strict=True
    ):
        part = image.crop((left, top, left + width, top + height))
        part = part.resize((size, size), filter_)
        cropped.append(part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part)
    return cropped
