"""The parts of a user's own images, from a folder or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from raylt.data.files import FileImages, centre, unreadable
from raylt.data.images import IMAGENET_MEAN, IMAGENET_STD, ArrayImages, Images, Splits
from raylt.data.longtail import cut, hold_out
from raylt.data.own import OwnImages
from raylt.data.reading.collection import Collection
from raylt.data.reading.paths import listing
from raylt.schema import InputError


def load(config: OwnImages, whole: Collection, root: Path) -> Splits:
    """The parts of a user's own images.

    Raises:
        InputError: a class has too few images, or the tail asked for cannot be cut.
        EnvironmentError: some images cannot be read, and `broken` is `stop`.
    """
    broken = _require_present(config, whole)
    # What cannot be cut is told before the images are decoded, which may take minutes.
    parts = FileImages.of(whole, config.resolution, config.workers)
    splits = _cut(parts, whole, config, root, [*broken])
    if config.keep == "files" and config.broken == "stop":
        return splits
    decoded: dict[str, Images] = {}
    for name, images in parts.items():
        everything = np.arange(len(images))
        pixels, reasons = images.decoded(everything, keep=config.keep == "memory")
        for index, reason in reasons.items():
            broken[str(images.names[index])] = f"{images.path(index)}: {reason}"
        kept = ArrayImages(pixels, images.labels) if config.keep == "memory" else images
        decoded[name] = kept.only(np.setdiff1d(everything, [*reasons])) if reasons else kept
    if broken and config.broken == "stop":
        raise unreadable([*broken.values()])
    return _cut(decoded, whole, config, root, [*broken])


def divided(
    config: OwnImages, whole: Collection, root: Path, broken: Sequence[str] = ()
) -> Splits:
    """The parts as files, of which none is opened.

    Args:
        broken: The names of those that cannot be read.

    Raises:
        InputError: as for `load`.
        EnvironmentError: some images are missing, and `broken` is `stop`.
    """
    _require_present(config, whole)
    parts = FileImages.of(whole, config.resolution, config.workers)
    readable = {
        name: images.only(np.flatnonzero(~np.isin(images.names, broken)))
        for name, images in parts.items()
    }
    return _cut(readable if broken else parts, whole, config, root, broken)


def _require_present(config: OwnImages, whole: Collection) -> dict[str, str]:
    """Why images are missing, by their names, where that does not stop everything."""
    if "validation" in whole.parts and config.validation == 0:
        raise InputError(
            "data.validation must be at least 1 where there are validation images already, "
            "which are never trained on, but is 0; leave it out"
        )
    broken = {name: f"{place}: it is not there" for name, place in whole.missing.items()}
    if broken and config.broken == "stop":
        raise unreadable([*broken.values()])
    return broken


def _cut(
    parts: Mapping[str, Images],
    whole: Collection,
    config: OwnImages,
    root: Path,
    broken: Sequence[str],
) -> Splits:
    train, test = parts["train"], parts.get("test")
    _require_room(parts, whole.classes, config)
    if test is None:
        held_out = hold_out(train.labels, [config.test] * len(whole.classes))
        test = train.only(held_out)
        train = train.only(np.setdiff1d(np.arange(len(train)), held_out))
    validation = parts.get("validation")
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    splits = cut(train, test, config, root=root, mean=mean, std=std, validation=validation)
    return replace(
        splits,
        centre=centre(config.resolution),
        names=whole.classes,
        broken=tuple(broken),
        left_out=whole.left_out,
    )


def _require_room(parts: Mapping[str, Images], classes: Sequence[str], config: OwnImages) -> None:
    """Refuse classes that cannot give what is held out of them and keep an image."""
    taken = {} if "test" in parts else {"data.test": config.test}
    if "validation" not in parts and config.validation_indices is None:
        taken["data.validation"] = config.validation
    counts = np.bincount(parts["train"].labels, minlength=len(classes)).tolist()
    wanted = sum(taken.values()) + 1
    if short := [k for k, count in enumerate(counts) if count < wanted]:
        asked = "".join(f", {count} for {key}" for key, count in taken.items())
        lower = f"lower {' and '.join(taken)}, " if taken else ""
        raise InputError(
            f"every class must have images enough{asked}, 1 to train on, but {len(short)} of "
            f"{len(counts)} have fewer; {lower}add images, or remove the class\n"
            + listing([f"class {classes[k]!r} has {counts[k]}" for k in short])
        )
    if config.indices is not None:
        return
    sizes = config.counts_of(tuple(count - wanted + 1 for count in counts))
    if empty := [
        f"class {classes[k]!r} of {counts[k]}" for k, size in enumerate(sizes) if not size
    ]:
        raise InputError(
            f"every class must keep an image, but the tail of {max(sizes)} ... 0 leaves none of "
            f"{len(empty)}; lower data.imbalance, or set data.natural: true to keep all images\n"
            + listing(empty)
        )
