"""Images as a user has them: by part and class, each file once."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylt.schema import EnvironmentError, InputError

PARTS = ("train", "validation", "test")
_NAMED = 20
"""Files that one message names at most."""


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
    missing: tuple[str, ...]
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
    seen: dict[Hashable, tuple[str, int]] = {}
    present: dict[str, Part] = {}
    missing: list[str] = []
    twice: list[tuple[tuple[str, int], tuple[str, int]]] = []
    for name, part in parts.items():
        kept: list[int] = []
        for index, identity in enumerate(_identities(part)):
            if identity is None:
                missing.append(part.place(index))
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
    return Collection(tuple(classes), present, left_out, tuple(missing))


def listing(entries: Sequence[str], *, most: int = _NAMED) -> str:
    """Entries for a message, a line each: the first 20, and how many more there are."""
    more = [f"and {len(entries) - most} more"] if len(entries) > most else []
    return "\n".join(f"  {entry}" for entry in [*entries[:most], *more])


def below(root: Path, name: str, key: str) -> Path:
    """The path of a file or folder that a space names, which must lie below the data root.

    Links of the user's own may lead elsewhere.

    Raises:
        InputError: the path leads out of the root.
    """
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(os.path.normpath(root)):
        raise InputError(
            f"data.{key} must lie below the data root {root}, but is {name!r}; name a folder "
            "above it with --data, or put a link to it there"
        )
    return path


def shown(path: str | Path) -> str:
    """A path that can be printed, whatever bytes are in its name."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _identities(part: Part) -> Iterator[Hashable | None]:
    """What tells each file of a part from all others, None where there is none."""
    real: dict[str, str] = {}
    for name in part.names:
        path = os.path.join(part.folder, name)
        try:
            status = os.lstat(path)
        except OSError:
            yield None
            continue
        folder, file = os.path.split(path)
        if stat.S_ISLNK(status.st_mode):
            yield os.path.realpath(path)
        elif status.st_nlink > 1:
            yield status.st_dev, status.st_ino
        else:
            if folder not in real:
                real[folder] = os.path.realpath(folder)
            yield os.path.join(real[folder], file)


def _repeated(
    classes: Sequence[str],
    parts: Mapping[str, Part],
    twice: Sequence[tuple[tuple[str, int], tuple[str, int]]],
) -> str:
    """What to say of files that are there twice: the pairs, and what is wrong with them."""
    lines: list[str] = []
    for (name, first), (other, second) in twice:
        one, two = parts[name], parts[other]
        kinds = [classes[one.labels[first]], classes[two.labels[second]]]
        told = f"{one.place(first)} is also {two.place(second)}"
        if name != other:
            told += f": for {name} and for {other}"
        elif kinds[0] != kinds[1]:
            told += f": class {kinds[0]!r} and class {kinds[1]!r}"
        lines.append(told)
    return (
        f"an image must be in one part, have one class and be named once, but {len(lines)} are "
        f"not; remove one of each\n{listing(lines)}"
    )
