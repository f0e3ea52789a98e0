"""Long tails: the class sizes a law asks for, and the images that are kept for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from raylt.data import indices
from raylt.data.images import Images, Splits
from raylt.data.reading.paths import below
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
    """Which classes are large: 0 takes them in class order, 1 to 5 permute them at random, each
    with images of its own. They are not SDCLR's five splits, which no known seed gives and whose
    files `indices` takes."""
    tail_seed: int = Field(0, ge=0, lt=2**32)
    """Decides, with the split, which images of a class stay; 0 and split 0 give the field's
    CIFAR-LT sets."""
    validation: int = Field(ge=0)
    """Images of each class that are held out for validation before the tail is cut; 0 trains on
    the whole published tail and leaves nothing to select by."""
    balanced: int | None = Field(None, ge=1)
    """Images of each class whose labels a full-shot probe may see; without a number all that are
    left after validation."""
    few_shot: int | None = Field(None, ge=1)
    """Images of each class whose labels a few-shot probe may see, of the training images as far as
    they reach; without a number one per cent of what is left after validation, at least 4."""
    indices: str | None = None
    """A .npy file below the data root with the indices of the training images in the pool, such as
    the split files that a paper published; it stands in place of the law and its seed."""
    validation_indices: str | None = None
    """Such a file of the validation images, in place of `validation`."""
    balanced_indices: str | None = None
    """Such a file of the labels of a full-shot probe, in place of `balanced`."""
    few_shot_indices: str | None = None
    """Such a file of the labels of a few-shot probe, in place of `few_shot`."""

    pool: ClassVar[tuple[int, int] | None] = None
    """Classes, and the images of each that are there for the tail and validation; None where only
    the files can tell."""

    def has_validation(self) -> bool:
        """Whether any images are held out."""
        return self.validation > 0 or self.validation_indices is not None

    def index_files(self) -> dict[str, str]:
        """Key -> name of each .npy file that is given."""
        keys = ("indices", "validation_indices", "balanced_indices", "few_shot_indices")
        return {key: name for key in keys if (name := getattr(self, key)) is not None}

    def sizes_are_known(self) -> bool:
        """Whether the law gives the training images of each class before any file is read."""
        return self.indices is None and self.validation_indices is None

    def train_counts(self) -> tuple[int, ...] | None:
        """Training images of each class, in class order; None where only the files can tell."""
        if self.pool is None or not self.sizes_are_known():
            return None
        classes, images = self.pool
        return self.tail_counts(largest=images - self.validation, classes=classes)

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

    Raises:
        InputError: a class would be left empty, or has fewer images than are asked for.
    """
    if min(counts) < 1:
        raise InputError(empty_class(counts))
    random = np.random.RandomState(seed)
    kept: list[NDArray[np.int64]] = []
    for k, (count, members) in enumerate(zip(counts, _members(labels, len(counts)), strict=True)):
        _enough(members, count, k, "the long tail", "raise data.imbalance, or hold out fewer")
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
        _enough(members, count, k, "test or validation", "hold out fewer, as by data.validation")
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
    validation: Images | None = None,
) -> Splits:
    """The parts of a study: validation is taken from the pool first, then the tail is cut.

    The few-shot labels are images of the tail as far as it reaches: SDCLR's protocol, in which
    few-shot labels have been seen. What a file names is never held out by chance.

    Args:
        pool: Training images, about as many of every class.
        root: Folder of the datasets, in which the files of indices are looked for.
        validation: The validation images, where they are not taken from the pool.

    Raises:
        InputError: the pool cannot give the tail and the validation images asked for, or a file of
            indices cannot be.
    """
    classes = len(np.bincount(pool.labels))
    named = {
        key: indices.of_pool(below(root, name, key), pool.labels, key=key)
        for key, name in config.index_files().items()
    }
    per_class = 0 if validation is not None else config.validation
    held_out = _held_out(pool.labels, per_class, classes, named)
    left = np.setdiff1d(np.arange(len(pool)), held_out)
    labels = pool.labels[left]
    available = tuple(np.bincount(labels, minlength=classes).tolist())
    if (train := named.get("indices")) is None:
        train = left[subsample(labels, config.counts_of(available), config.stream())]
    counts = np.bincount(pool.labels[train], minlength=classes).tolist()
    if min(counts) < 1:
        raise InputError(empty_class(counts, "name images of it in data.indices"))
    balanced = named.get("balanced_indices", left)
    if balanced is left and config.balanced is not None:
        balanced = left[hold_out(labels, [config.balanced] * classes)]
    few_shot = named.get("few_shot_indices")
    if few_shot is None:
        few_shot = _few_shot(pool.labels, left, train, config)
    return Splits(
        train=pool.only(train),
        balanced=pool if len(balanced) == len(pool) else pool.only(balanced),
        few_shot=pool.only(few_shot),
        validation=pool.only(held_out) if validation is None else validation,
        test=test,
        classes=classes,
        mean=mean,
        std=std,
    )


def empty_class(counts: Sequence[int], remedy: str = "lower data.imbalance") -> str:
    """What to say about a tail that leaves a class without images, and what to do about it."""
    k = min(range(len(counts)), key=counts.__getitem__)
    return (
        f"every class must keep at least 1 training image, but class {k} is left with "
        f"{counts[k]} of at most {max(counts)}; {remedy}"
    )


def _few_shot(
    labels: NDArray[np.int64],
    left: NDArray[np.int64],
    train: NDArray[np.int64],
    config: LongTailed,
) -> NDArray[np.int64]:
    """The labels of a few-shot probe: of each class those of `train` before all others."""
    available = np.bincount(labels[left], minlength=int(labels.max()) + 1).tolist()
    shuffled = left[subsample(labels[left], available, config.stream())]
    order = shuffled[np.argsort(~np.isin(shuffled, train), kind="stable")]
    counts = [min(n, config.few_shot or max(4, n // 100)) for n in available]
    members = _members(labels[order], len(counts))
    return np.concatenate([order[of[:n]] for of, n in zip(members, counts, strict=True)])


def _held_out(
    labels: NDArray[np.int64], per_class: int, classes: int, named: dict[str, NDArray[np.int64]]
) -> NDArray[np.int64]:
    """The validation images: those that a file names, or `each` of every class among the images
    that no file names."""
    others = {key: images for key, images in named.items() if key != "validation_indices"}
    if (held_out := named.get("validation_indices")) is not None:
        indices.require_apart(held_out, others)
        return held_out
    free = np.arange(len(labels))
    for images in others.values():
        free = np.setdiff1d(free, images)
    return free[hold_out(labels[free], [per_class] * classes)]


def _members(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """The images of each class, ascending; sorted once, for iNaturalist has 8,142 classes."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(classes + 1)))[1:-1]


def _enough(members: NDArray[np.int64], wanted: int, k: int, purpose: str, remedy: str) -> None:
    if len(members) < wanted:
        raise InputError(
            f"class {k} must have {wanted} images for {purpose}, but has {len(members)}; {remedy}"
        )
