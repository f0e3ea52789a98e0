"""Folders of images: one folder for each class, as torchvision's ImageFolder reads them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from raylt.data.reading import decode
from raylt.data.reading.collection import Collection, Part, collected
from raylt.data.reading.paths import shown
from raylt.plugins import did_you_mean
from raylt.schema import EnvironmentError, InputError

HIDDEN = "hidden files and folders"
_LOOPS = "links back to a folder around them"
OUTSIDE = "images outside a class"


def collection(folders: Mapping[str, Path]) -> Collection:
    """The images of folders, of which each holds a folder for each class.

    Classes stand in the order of Python's `sorted`, as torchvision has them: `10` before `2`,
    capitals before small letters. Links are followed. Hidden files and folders and `__MACOSX`
    are left out, and so are files without the ending of an image.

    Args:
        folders: The folder of `train`, and those of `validation` and `test` if there are such;
            they may lack classes, and must not have others.

    Raises:
        InputError: a folder is missing, has no classes or others than the training images, a
            class is empty, or two names are one file.
        EnvironmentError: a folder cannot be read, or a link leads nowhere.
    """
    classes: list[str] = []
    parts: dict[str, Part] = {}
    left_out: Counter[str] = Counter()
    for name, folder in folders.items():
        own = _classes(folder, left_out)
        if name == "train":
            classes = own
        elif other := sorted(set(own) - set(classes)):
            raise InputError(
                f"{shown(folder)} must have the classes of {shown(folders['train'])}, but "
                f"{other[0]!r}{f' and {len(other) - 1} more' if len(other) > 1 else ''} is in one "
                "of them only; add it to the other, or remove it"
            )
        parts[name] = _part(folder, own, classes, left_out)
    if len(classes) < 2:
        raise InputError(
            f"{shown(folders['train'])} must hold a folder for each class, at least two, but has "
            f"{len(classes)}; {left_out[OUTSIDE]} images lie in it outside a class"
        )
    return collected(classes, parts, left_out)


def _classes(folder: Path, left_out: Counter[str]) -> list[str]:
    """The folders of the classes, sorted."""
    if not folder.is_dir():
        raise InputError(
            f"data.images must be a folder below the data root, but {shown(folder)} is "
            f"{_instead(folder)}; name the root with --data, or the folder of the classes"
        )
    classes: list[str] = []
    for entry in _entries(folder):
        if _hidden(entry.name):
            left_out[HIDDEN] += 1
        elif entry.is_dir():
            classes.append(entry.name)
        else:
            _require_target(entry)
            left_out[OUTSIDE if _is_image(entry.name) else _kind(entry.name)] += 1
    return sorted(classes)


def _instead(folder: Path) -> str:
    """What there is in place of a folder, and the name beside it that may be meant."""
    if folder.is_symlink() and not folder.exists():
        return f"a link to {shown(os.readlink(folder))}, which is not there"
    if not folder.parent.is_dir():
        return "none"
    beside = [shown(entry.name) for entry in _entries(folder.parent) if entry.is_dir()]
    return f"none{did_you_mean(shown(folder.name), beside).removesuffix('?')}"


def _part(folder: Path, own: list[str], classes: list[str], left_out: Counter[str]) -> Part:
    names: list[str] = []
    labels: list[int] = []
    for name in own:
        images = sorted(_images(folder, name, (_identity(folder),), left_out))
        if not images:
            raise InputError(
                f"every class must have an image, but class {name!r} has none in "
                f"{shown(folder / name)}; add some, or remove the folder"
            )
        names += images
        labels += [classes.index(name)] * len(images)
    return Part(folder, names, labels, str(folder))


def _images(
    top: Path, inner: str, around: tuple[tuple[int, int], ...], left_out: Counter[str]
) -> Iterator[str]:
    """The images of a folder below `top` and of all folders in it, as paths from `top`."""
    folder = top / inner
    own = _identity(folder)
    if own in around:
        left_out[_LOOPS] += 1
        return
    for entry in _entries(folder):
        name = f"{inner}/{entry.name}"
        if _hidden(entry.name):
            left_out[HIDDEN] += 1
        elif entry.is_dir():
            yield from _images(top, name, (*around, own), left_out)
        elif _is_image(entry.name) and (entry.is_file() or entry.is_symlink()):
            # A link that leads nowhere is a broken image, which is named when it is read.
            yield name
        else:
            _require_target(entry)
            left_out[_kind(entry.name)] += 1


def _require_target(entry: os.DirEntry[str]) -> None:
    """Refuse a link that leads nowhere: it may be that to a class, without which every later class
    had another number, or that to some of its images."""
    if entry.is_symlink() and not os.path.exists(entry.path):
        raise EnvironmentError(
            f"{shown(entry.path)} is a link to {shown(os.readlink(entry.path))}, which is not "
            "there; mend or remove the link"
        )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise EnvironmentError(
            f"the folder {shown(folder)} must be readable, but is not: {error.strerror}; allow it"
        ) from error


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in decode.suffixes()


def _kind(name: str) -> str:
    """What to call a file that is no image."""
    return os.path.splitext(name)[1].lower() or "files without an ending"
