"""Long tails: the class sizes a law asks for, and the images that are kept for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from raylt.data import indices
from raylt.data.images import Images, Splits
from raylt.schema import DatasetConfig, InputError

# Test and validation images are the same in every study, whatever tail is cut afterwards.
_HELD_OUT_SEED = 0


class LongTailed(DatasetConfig):
    """The hyperparameters of a dataset whose balanced training pool is cut into a long tail."""

    imbalance: float = Field(100.0, ge=1)
    """Images of the largest class over images of the smallest; 1 leaves the classes equal."""
    law: Literal["exponential", "pareto", "step"] = "exponential"
    """How class sizes fall: exponential as in CIFAR-LT, Pareto as in ImageNet-LT, or one step."""
    power: float = Field(6.0, gt=0)
    """Exponent of the Pareto law; 6 in ImageNet-LT."""
    split: int = Field(0, ge=0, le=5)
    """Which classes are large: 0 takes them in class order, 1 to 5 are SDCLR's permutations, each
    with images of its own."""
    tail_seed: int = Field(0, ge=0, lt=2**32)
    """Decides, with the split, which images of a class stay; 0 and split 0 give the field's
    CIFAR-LT sets."""
    validation: int = Field(ge=0)
    """Images of each class that are held out for validation before the tail is cut; 0 trains on
    the whole published tail and leaves nothing to select by."""
    indices: str | None = None
    """A .npy file below the data root with the indices of the training images in the pool, such as
    the split files that a paper published; it stands in place of the law and its seed."""

    def has_validation(self) -> bool:
        """Whether any images are held out."""
        return self.validation > 0

    def class_order(self, classes: int) -> Sequence[int]:
        """The classes from the largest to the smallest, (classes,)."""
        if self.split == 0:
            return range(classes)
        return np.random.RandomState(self.split).permutation(classes).tolist()

    def stream(self) -> int:
        """Seed of the shuffles that choose the images of the tail: another one for each split."""
        return (self.tail_seed + self.split) % 2**32

    def tail_counts(self, *, largest: int, classes: int) -> tuple[int, ...]:
        """Training images of each class, in class order, if the largest class has `largest`."""
        if self.law == "exponential":
            sizes = exponential_counts(largest, classes, self.imbalance)
        elif self.law == "pareto":
            sizes = pareto_counts(largest, classes, self.imbalance, power=self.power)
        else:
            sizes = step_counts(largest, classes, self.imbalance)
        counts = dict(zip(self.class_order(classes), sizes, strict=True))
        return tuple(counts[k] for k in range(classes))

    def counts_of(self, available: tuple[int, ...]) -> tuple[int, ...]:
        """Training images of each class, where `available` are at hand, in class order."""
        tail = self.tail_counts(largest=min(available), classes=len(available))
        return self.train_counts() or tail

    @model_validator(mode="after")
    def _every_class_has_images(self) -> Self:
        counts = self.train_counts()
        if counts is not None and min(counts) < 1:
            raise ValueError(empty_class(counts))
        return self


class Listed(DatasetConfig):
    """The hyperparameters of a dataset of image files that lists give: `path label` in each line.

    Paths of lists and of the image folder are below the data root; paths in the lists are below
    the image folder.
    """

    images: str
    """Folder of the image files."""
    train_list: str
    """The long-tailed training images."""
    test_list: str
    """The sealed test images."""
    validation_list: str | None = None
    """Validation images; without a list some training images are held out."""
    validation: int = Field(1, ge=1)
    """Images that each class gives for validation where there is no list; a class with fewer than
    five times as many gives none."""
    balanced_list: str | None = None
    """Labels of a full-shot probe; without a list the training images."""
    few_shot_list: str | None = None
    """Labels of a few-shot probe; without a list one per cent of the above, at least 4 a class."""
    resolution: int = Field(224, ge=8)
    """Height and width in pixels at which images are decoded for evaluation."""
    workers: int = Field(4, ge=0)
    """Processes that decode images for each worker of a trial."""


def exponential_counts(largest: int, classes: int, imbalance: float) -> tuple[int, ...]:
    """Class sizes, head first: floor(largest * (1/imbalance)^(i/(classes-1))).

    The rule of CIFAR-LT (Cao et al., LDAM, NeurIPS 2019), which both papers follow.
    """
    if classes == 1:
        return (largest,)
    ratio = 1 / imbalance
    return tuple(int(largest * ratio ** (i / (classes - 1))) for i in range(classes))


def pareto_counts(
    largest: int, classes: int, imbalance: float, *, power: float
) -> tuple[int, ...]:
    """Class sizes, head first, in proportion to the quantiles of a Pareto law of exponent `power`.

    ImageNet-LT (Liu et al., 2019) draws its sizes from a Pareto law of power 6; quantiles give the
    same shape without the luck of a draw. The ends are moved to `largest` and to
    floor(largest/imbalance), so that every law here means the same by `imbalance`.
    """
    if classes == 1:
        return (largest,)
    quantile = [((i + 0.5) / classes) ** (-1 / power) for i in range(classes)]
    share = [(q - quantile[-1]) / (quantile[0] - quantile[-1]) for q in quantile]
    ratio = 1 / imbalance
    return tuple(int(largest * (ratio + (1 - ratio) * s)) for s in share)


def step_counts(largest: int, classes: int, imbalance: float) -> tuple[int, ...]:
    """Class sizes, head first: the first half has `largest`, the rest floor(largest/imbalance)."""
    head = classes // 2
    return (largest,) * head + (math.floor(largest / imbalance),) * (classes - head)


def subsample(labels: NDArray[np.int64], counts: Sequence[int], seed: int) -> NDArray[np.int64]:
    """Indices of a long tail: `counts[k]` images of each class k, class after class.

    One RandomState shuffles the images of class 0, then of class 1 and so on, and the first
    counts[k] stay. The stream does not depend on the counts, so the images of a smaller tail are
    among those of a larger one, and seed 0 gives the field's CIFAR-LT sets index for index.

    Args:
        labels: The class of each image of the pool, (n,).
        counts: Images to keep of each class, (classes,).
        seed: Seed of the shuffles.

    Raises:
        InputError: a class would be left empty, or has fewer images than are asked for.
    """
    if min(counts) < 1:
        raise InputError(empty_class(counts))
    random = np.random.RandomState(seed)
    kept: list[NDArray[np.int64]] = []
    for k, (count, members) in enumerate(zip(counts, _members(labels, len(counts)), strict=True)):
        _enough(members, count, k, "the long tail")
        random.shuffle(members)
        kept.append(members[:count])
    return np.concatenate(kept)


def hold_out(labels: NDArray[np.int64], counts: ArrayLike) -> NDArray[np.int64]:
    """Indices of `counts[k]` images of each class k, ascending; the same for every study.

    Raises:
        InputError: a class has fewer images.
    """
    random = np.random.RandomState(_HELD_OUT_SEED)
    taken: list[NDArray[np.int64]] = []
    wanted = np.asarray(counts).tolist()
    for k, (count, members) in enumerate(zip(wanted, _members(labels, len(wanted)), strict=True)):
        _enough(members, count, k, "test or validation")
        taken.append(random.permutation(members)[:count])
    return np.sort(np.concatenate(taken))


def cut(
    pool: Images,
    test: Images,
    config: LongTailed,
    *,
    root: Path,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Splits:
    """The parts of a study: validation is taken from the pool first, then the tail is cut.

    The few-shot labels are one per cent of what is left, at least 4 a class, and they are images
    of the tail as far as it reaches: SDCLR's protocol, in which few-shot labels have been seen.

    Args:
        pool: Training images, about as many of every class.
        test: The sealed test images.
        config: The tail, and the number of validation images.
        root: Folder of the datasets, in which `config.indices` is looked for.
        mean: Mean of each channel that the encoder normalises with.
        std: Standard deviation of each channel, for pixels in [0, 1].

    Raises:
        InputError: the pool cannot give the tail and the validation images asked for.
    """
    sizes = np.bincount(pool.labels)
    named = None if config.indices is None else indices.of_pool(root / config.indices, pool.labels)
    # Images of a published tail are never held out: validation is taken from the others.
    free = np.arange(len(pool)) if named is None else np.setdiff1d(np.arange(len(pool)), named)
    held = free[hold_out(pool.labels[free], [config.validation] * len(sizes))]
    left = np.setdiff1d(np.arange(len(pool)), held)
    labels = pool.labels[left]
    available = tuple(np.bincount(labels, minlength=len(sizes)).tolist())
    if named is None:
        named = left[subsample(labels, config.counts_of(available), config.stream())]
    few = [min(count, max(4, count // 100)) for count in available]
    train = pool.only(named)
    counts = np.bincount(train.labels, minlength=len(sizes)).tolist()
    if min(counts) < 1:
        raise InputError(empty_class(counts))
    return Splits(
        train=train,
        balanced=pool.only(left) if len(held) else pool,
        few_shot=pool.only(left[subsample(labels, few, config.stream())]),
        validation=pool.only(held),
        test=test,
        classes=len(sizes),
        mean=mean,
        std=std,
    )


def empty_class(counts: Sequence[int]) -> str:
    """What to say about a tail that leaves a class without images."""
    k = min(range(len(counts)), key=counts.__getitem__)
    return (
        f"every class must keep at least 1 training image, but class {k} is left with "
        f"{counts[k]} of at most {max(counts)}; lower data.imbalance"
    )


def _members(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """The images of each class, ascending; sorted once, for iNaturalist has 8,142 classes."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(classes + 1)))[1:-1]


def _enough(members: NDArray[np.int64], wanted: int, k: int, purpose: str) -> None:
    if len(members) < wanted:
        raise InputError(
            f"class {k} must have {wanted} images for {purpose}, but has {len(members)}; raise "
            "data.imbalance, or hold out fewer of each class"
        )
