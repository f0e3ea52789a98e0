"""What the datasets of image files have in common: lists, checked before anything is trained."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from raylt.data.files import FileImages, centre
from raylt.data.images import IMAGENET_MEAN, IMAGENET_STD, Splits
from raylt.data.longtail import Listed, hold_out, subsample
from raylt.data.reading import rows, table
from raylt.data.reading.collection import Part, collected
from raylt.data.reading.paths import below, listing
from raylt.schema import EnvironmentError, InputError

_VALIDATION_SHARE = 5
"""A class must have this many times the images that it gives for validation."""
_FEW_SHOT_SEED = 0


def load(
    config: Listed,
    root: Path,
    *,
    classes: int,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
) -> Splits:
    """The parts of a dataset that lists give; its lists and images are the user's, below `root`.

    Raises:
        InputError: a list is missing or has a wrong line, a class is empty, or two parts that
            must be apart share an image.
        EnvironmentError: an image of a list is missing.
    """
    require_lists(config, root)
    read = functools.partial(_part, config, root, classes)
    lists = {"train": read("train_list"), "test": read("test_list")}
    if config.validation_list is not None:
        lists["validation"] = read("validation_list")
    parts = _images(config, classes, lists)
    train, test = parts["train"], parts["test"]
    _require_every_class(train, config.train_list, classes)
    if config.validation_list is None:
        train, validation = _divided(train, config.validation, classes)
    else:
        validation = parts["validation"]

    def labelled(key: str) -> FileImages:
        """The images of a list of labels, which may name validation images, without those."""
        images = _images(config, classes, {key: read(key)})[key]
        return images.only(np.flatnonzero(~np.isin(images.names, validation.names)))

    balanced = train if config.balanced_list is None else labelled("balanced_list")
    if config.few_shot_list is not None:
        few_shot = labelled("few_shot_list")
    else:
        _require_every_class(balanced, config.balanced_list or config.train_list, classes)
        sizes = np.bincount(balanced.labels, minlength=classes).tolist()
        few = [min(size, max(4, size // 100)) for size in sizes]
        few_shot = balanced.only(subsample(balanced.labels, few, _FEW_SHOT_SEED))
    shown = centre(config.resolution)
    return Splits(train, balanced, few_shot, validation, test, classes, mean, std, shown)


def require_lists(config: Listed, root: Path) -> None:
    """Refuse a dataset whose lists are not there.

    Raises:
        InputError: some are missing.
    """
    values = config.model_dump()
    lists = {key: values[key] for key in values if key.endswith("_list") and values[key]}
    missing = [
        f"{root / name} (data.{key})"
        for key, name in lists.items()
        if not below(root, name, key).exists()
    ]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(
            f"the lists of {config.name}'s images must lie below {root}, but there is no "
            f"{missing[0]}{more}; put the published lists there, which "
            f"raylt/datasets/{config.name}.py names, or name your own"
        )


def _part(config: Listed, root: Path, classes: int, key: str) -> Part:
    """The images of the list that a key names."""
    path = below(root, getattr(config, key), key)
    folder = below(root, config.images, "images")
    problems: list[str] = []
    named = rows.read(path, problems=problems)
    for row in named:
        if not (row.label.isascii() and row.label.isdigit() and int(row.label) < classes):
            hint = " (classes are counted from 0)" if row.label == str(classes) else ""
            must = f"the class must be a number from 0 to {classes - 1}{hint}"
            problems.append(
                row.wrong(f"{must}, but is {row.label[:200]!r}; correct it, or name another list")
            )
    rows.require_none(problems)
    listed = table.part(named, folder, [int(row.label) for row in named], problems)
    rows.require_none(problems)
    return listed


def _images(config: Listed, classes: int, lists: Mapping[str, Part]) -> dict[str, FileImages]:
    """The images of lists that must not share one, all of which must be there."""
    whole = collected(tuple(map(str, range(classes))), lists, {})
    if whole.missing:
        raise EnvironmentError(
            f"every image of the lists must be there, but {len(whole.missing)} are not; set "
            f"data.images to the folder that they are in\n{listing([*whole.missing.values()])}"
        )
    return FileImages.of(whole, config.resolution, config.workers)


def _divided(images: FileImages, per_class: int, classes: int) -> tuple[FileImages, FileImages]:
    """Training and validation images out of one list."""
    sizes = np.bincount(images.labels, minlength=classes)
    held_out = hold_out(
        images.labels, np.where(sizes >= _VALIDATION_SHARE * per_class, per_class, 0)
    )
    left = np.setdiff1d(np.arange(len(images)), held_out)
    return images.only(left), images.only(held_out)


def _require_every_class(images: FileImages, listed: str, classes: int) -> None:
    empty = np.setdiff1d(np.arange(classes), images.labels)
    if len(empty):
        raise InputError(
            f"{listed}: must name an image of each of the {classes} classes, but names none of "
            f"class {empty[0]}{f' and {len(empty) - 1} more' if len(empty) > 1 else ''}; is this "
            "the list of another dataset, cut off, or counted from 1?"
        )
