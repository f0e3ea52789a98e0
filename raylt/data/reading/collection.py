"""Images as a user has them: by part and class, each file once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylt.data.reading.paths import listing, shown
from raylt.schema import EnvironmentError, InputError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one part."""

    folder: Path
    """What the names start from."""
    names: Sequence[str]
    """Path of each image below the folder, (n,)."""
    labels: Sequence[int]
    """The class of each image, (n,)."""
    source: str
    """What the user calls it: a folder or a table."""
    lines: Sequence[int] | None = None
    """The line of each image in a table, (n,)."""

    def place(self, index: int) -> str:
        """Where an image is named, for messages."""
        name = shown(self.names[index])
        return f"{self.source}:{self.lines[index]} ({name})" if self.lines else name

    def only(self, kept: Sequence[int]) -> Part:
        """Some of the images."""
        lines = None if self.lines is None else [self.lines[i] for i in kept]
        names, labels = [self.names[i] for i in kept], [self.labels[i] for i in kept]
        return Part(self.folder, names, labels, self.source, lines)


@dataclass(frozen=True, slots=True)
class Collection:
    """All images that a user brings, before any are held out."""

    classes: tuple[str, ...]
    """The name of each class."""
    parts: Mapping[str, Part]
    """`train`, and `validation` and `test` where the user has made them."""
    left_out: Mapping[str, int]
    """What lay among the images and is none, such as `.txt`, and how many files of it."""
    missing: Mapping[str, str]
    """The images that a table names and that are not there, each with its place."""

    def counts(self, part: str) -> NDArray[np.int64]:
        """Images of each class in a part, (classes,)."""
        labels = np.asarray(self.parts[part].labels, np.int64)
        return np.bincount(labels, minlength=len(self.classes))


def collected(
    classes: Sequence[str], parts: Mapping[str, Part], left_out: Mapping[str, int]
) -> Collection:
    """A collection whose images are there, each once.

    Raises:
        InputError: two names are one file, however they are spelled.
        EnvironmentError: no image of a part is there.
    """
    seen: dict[str, tuple[str, int]] = {}
    inodes: dict[int, str] = {}
    present: dict[str, Part] = {}
    missing: dict[str, str] = {}
    twice: list[tuple[tuple[str, int], tuple[str, int]]] = []
    for name, part in parts.items():
        kept: list[int] = []
        for index, identity in enumerate(_identities(part, inodes)):
            if identity is None:
                missing[part.names[index]] = part.place(index)
                continue
            kept.append(index)
            if (first := seen.setdefault(identity, (name, index))) != (name, index):
                twice.append((first, (name, index)))
        if not kept:
            raise EnvironmentError(
                f"the images of {part.source} must lie below {shown(part.folder)}, but none of "
                f"{len(part.names)} does, such as {part.place(0)}; set data.images to the folder "
                "that the paths start from"
            )
        present[name] = part.only(kept) if len(kept) < len(part.names) else part
    if twice:
        raise InputError(_repeated(classes, parts, twice))
    return Collection(tuple(classes), present, left_out, missing)


def _identities(part: Part, inodes: dict[int, str]) -> Iterator[str | None]:
    """The real path of each file of a part, None where there is none.

    Each folder is looked through once, for a list may name a million files of a slow disk.
    `inodes` remembers the files of all parts.
    """
    folders: dict[str, tuple[str, dict[str, os.DirEntry[str]]]] = {}
    for name in part.names:
        folder, file = os.path.split(os.path.join(part.folder, name))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder), _entries(folder)
        real, entries = folders[folder]
        if (entry := entries.get(file)) is None:
            yield None
        elif entry.is_symlink():
            yield os.path.realpath(entry.path)
        else:
            path = os.path.join(real, file)
            # Two names of one file are hard links.
            first = inodes.setdefault(entry.inode(), path)
            yield first if first != path and os.path.samefile(first, path) else path


def _entries(folder: str) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries}
    except OSError:
        return {}


def _repeated(
    classes: Sequence[str],
    parts: Mapping[str, Part],
    twice: Sequence[tuple[tuple[str, int], tuple[str, int]]],
) -> str:
    """What to say of files that are there twice: the pairs, and what is wrong with them."""
    lines: list[str] = []
    for (name, first), (other, second) in twice:
        left, right = parts[name], parts[other]
        kinds = [classes[left.labels[first]], classes[right.labels[second]]]
        message = f"{left.place(first)} is also {right.place(second)}"
        if name != other:
            message += f": for {name} and for {other}"
        elif kinds[0] != kinds[1]:
            message += f": class {kinds[0]!r} and class {kinds[1]!r}"
        lines.append(message)
    return (
        f"an image must be in one part, have one class and be named once, but {len(lines)} are "
        f"not; remove one of each\n{listing(lines)}"
    )
