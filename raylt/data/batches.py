"""Batches of views on the device: their order and their draws are a formula of the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from raylt.data.augment import CALM, VIEWS
from raylt.data.files import FileImages
from raylt.data.images import Images
from raylt.data.sources import Resident, Streamed, ViewSpec
from raylt.schema import InputError
from raylt.sections import Augment

_EVALUATED = 512
"""Images that `plain` holds on the device at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one worker trains on in one step."""

    views: tuple[Float[Tensor, "n channel size size"], ...]
    """One tensor in [0, 1] for each kind of view, in the order asked for."""
    labels: Int[Tensor, " n"]
    """The class of each image."""


class Batches:
    """A training set as batches of augmented views on the device.

    The order of the images is a function of (seed, epoch) and the views are one of (seed, epoch,
    rank): a run that resumes at an epoch sees what it would have seen.

    Args:
        views: Names in `raylt.data.augment.VIEWS`, one for each view of a batch.
        batch_size: Images of one step over all workers together.

    Raises:
        InputError: the batch does not divide over the workers, or an epoch would have no step.
    """

    def __init__(
        self,
        images: Images,
        *,
        views: Sequence[str],
        size: int,
        params: Augment,
        batch_size: int,
        drop_last: bool,
        seed: int,
        device: torch.device,
        rank: int,
        world: int,
        channels_last: bool,
    ) -> None:
        looks = ViewSpec(tuple(VIEWS[name] for name in views), size, params)
        self._source = (
            Streamed(images, looks, device)
            if isinstance(images, FileImages)
            else Resident(images, looks, device)
        )
        self._sizes = shares(len(images), batch_size, world=world, drop_last=drop_last)
        self._batch_size = batch_size
        self._labels = torch.from_numpy(images.labels).to(device)
        self._seed, self._rank = seed, rank
        self._memory = torch.channels_last if channels_last else torch.contiguous_format

    @property
    def steps(self) -> int:
        """Steps of an epoch; the same for every worker."""
        return len(self._sizes)

    def epoch(self, number: int) -> Iterator[Batch]:
        """This worker's batches of epoch `number`, counted from 0."""
        device = self._labels.device
        order = self._order(number)
        seed = _stream(self._seed, number, 1 + self._rank)
        generator = torch.Generator(device).manual_seed(seed)
        labels = self._labels[order.to(device)].split(list(self._sizes))
        steps = self._source.views(order, self._sizes, generator)
        for views, classes in zip(steps, labels, strict=True):
            kept = tuple(view.contiguous(memory_format=self._memory) for view in views)
            yield Batch(kept, classes)

    def _order(self, number: int) -> Int[Tensor, " n"]:
        """This worker's images of all steps: its slice of every batch."""
        shuffler = torch.Generator().manual_seed(_stream(self._seed, number, 0))
        order = torch.randperm(len(self._labels), generator=shuffler)
        starts = (
            step * self._batch_size + self._rank * share for step, share in enumerate(self._sizes)
        )
        slices = zip(starts, self._sizes, strict=True)
        return torch.cat([order[start : start + share] for start, share in slices])


def shares(n: int, batch_size: int, *, world: int, drop_last: bool) -> tuple[int, ...]:
    """Images of one worker in each step of an epoch over `n` images.

    Every worker has equally many. What is left after the last whole batch is cut so that it
    divides over the workers, and left out if that gives fewer than two images to each, too few
    for a contrast or for batch normalisation.

    Raises:
        InputError: the batch does not divide over the workers, or the epoch would have no step.
    """
    share = batch_size // world
    if batch_size % world or share < 2:
        raise InputError(
            "optimizer.batch_size must give the same number of images, 2 or more, to each worker, "
            f"but got {batch_size} for {world} workers; try {max(2, share) * world}"
        )
    rest = 0 if drop_last else n % batch_size // world
    sizes = (share,) * (n // batch_size) + ((rest,) if rest >= 2 else ())
    if not sizes:
        raise InputError(
            f"an epoch must have at least one step, but the training set has {n} images and "
            f"optimizer.batch_size is {batch_size}; try {max(2, n // world) * world}"
        )
    return sizes


def plain(
    images: Images, indices: NDArray[np.int64], *, size: int, device: torch.device
) -> Iterator[Float[Tensor, "n channel size size"]]:
    """The images at `indices` in order, resized and not disturbed, some hundred at a time."""
    unused = torch.Generator(device)
    for start in range(0, len(indices), _EVALUATED):
        pixels = images.take(indices[start : start + _EVALUATED])
        shown = torch.from_numpy(pixels).to(device)
        yield VIEWS["none"](shown, size=size, params=CALM, generator=unused)


def _stream(seed: int, epoch: int, user: int) -> int:
    """A seed of its own for each user of each epoch: 0 for the order, 1 + rank for the views."""
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch, user))
    return int(sequence.generate_state(1, np.uint64)[0])
