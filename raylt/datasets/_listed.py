"""What the datasets of image files have in common: lists, checked before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from raylt.data import files
from raylt.data.files import FileImages
from raylt.data.images import Splits
from raylt.data.longtail import Listed, hold_out, subsample
from raylt.schema import InputError

_VALIDATION_SHARE = 5
"""A class must have this many times the images that it gives for validation."""
_FEW_SHOT_SEED = 0

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load(
    config: Listed,
    root: Path,
    *,
    classes: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Splits:
    """The parts of a dataset that lists give.

    Args:
        config: The lists.
        root: Folder of the datasets.
        classes: Number of classes.
        mean: Mean of each channel that the encoder normalises with.
        std: Standard deviation of each channel, for pixels in [0, 1].

    Raises:
        InputError: a list is missing or has a wrong line, a class is empty, or two parts that
            must be apart share an image.
        EnvironmentError: an image of a list is missing.
    """
    _require_lists(config, root)
    train = _images(config, root, config.train_list, classes)
    _require_every_class(train, config.train_list, classes)
    if config.validation_list is None:
        train, validation = _divided(train, config.validation, classes)
    else:
        validation = _images(config, root, config.validation_list, classes)
    test = _images(config, root, config.test_list, classes)
    balanced = train
    if config.balanced_list is not None:
        balanced = _without(_images(config, root, config.balanced_list, classes), validation)
    if config.few_shot_list is not None:
        few_shot = _without(_images(config, root, config.few_shot_list, classes), validation)
    else:
        _require_every_class(balanced, config.balanced_list or config.train_list, classes)
        sizes = np.bincount(balanced.labels, minlength=classes).tolist()
        few = [min(size, max(4, size // 100)) for size in sizes]
        few_shot = balanced.only(subsample(balanced.labels, few, _FEW_SHOT_SEED))
    for name, part in (("validation", validation), ("test", test)):
        _require_apart(train, part, name)
    return Splits(train, balanced, few_shot, validation, test, classes, mean, std)


def _require_lists(config: Listed, root: Path) -> None:
    values = config.model_dump()
    lists = {key: values[key] for key in values if key.endswith("_list") and values[key]}
    missing = [
        f"{root / name} (data.{key})" for key, name in lists.items() if not (root / name).exists()
    ]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"the lists of {config.name}'s images must lie below {root}, but there is no "
            f"{missing[0]}{more}; put the published lists there, which "
            f"raylt/datasets/{config.name}.py names, or name your own"
        )


def _images(config: Listed, root: Path, listed: str, classes: int) -> FileImages:
    path, folder = root / listed, root / config.images
    names, labels = files.read_list(path, classes=classes)
    files.require_all(folder, names, source=path)
    return FileImages(folder, names, labels, config.resolution, config.workers)


def _divided(images: FileImages, per_class: int, classes: int) -> tuple[FileImages, FileImages]:
    """Training and validation images out of one list."""
    sizes = np.bincount(images.labels, minlength=classes)
    held = hold_out(images.labels, np.where(sizes >= _VALIDATION_SHARE * per_class, per_class, 0))
    left = np.setdiff1d(np.arange(len(images)), held)
    return images.only(left), images.only(held)


def _without(images: FileImages, others: FileImages) -> FileImages:
    """The images that are not among the others; a list of labels may name validation images."""
    return images.only(np.flatnonzero(~np.isin(images.names, others.names)))


def _require_every_class(images: FileImages, listed: str, classes: int) -> None:
    empty = np.setdiff1d(np.arange(classes), images.labels)
    if len(empty):
        raise InputError(
            f"{listed}: must name an image of each of the {classes} classes, but names none of "
            f"class {empty[0]}{f' and {len(empty) - 1} more' if len(empty) > 1 else ''}; is this "
            "the list of another dataset, or cut off?"
        )


def _require_apart(train: FileImages, part: FileImages, name: str) -> None:
    shared = set(train.names.tolist()).intersection(part.names.tolist())
    if shared:
        raise InputError(
            f"an image must be for training or for {name}, but the lists share {len(shared)}, "
            f"such as {min(shared)}; remove them from one list"
        )
