"""Tables and lists of images: which file has which label, and is of which part."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raylt.data.reading import rows
from raylt.data.reading.collection import Collection, Part, collected
from raylt.data.reading.paths import shown
from raylt.data.reading.rows import Columns, Row, wrong
from raylt.schema import InputError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What a split may be called, in small letters, and which part it is."""
_PART_OF = {word: part for part, words in SPLITS.items() for word in words}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def collection(tables: Mapping[str, Path], images: Path, columns: Columns) -> Collection:
    """The images that tables name.

    Labels are names or whole numbers: names stand in the order of Python's `sorted`, numbers in
    that of their values. A column of splits divides the table of `train`.

    Args:
        tables: The table of `train`, and those of `validation` and `test` if there are such.
        images: The folder that paths in the tables start from.
        columns: Which columns count.

    Raises:
        InputError: a table has a wrong line, a class has no training image, a path leads out of
            the folder, or two rows are one file.
        EnvironmentError: no image is there.
    """
    divided = _by_split(
        {name: [(path, row) for row in rows.read(path, columns)] for name, path in tables.items()}
    )
    if "train" not in divided:
        raise InputError(f"{shown(tables['train'])} must have training images, but has none")
    everything = list(itertools.chain.from_iterable(divided.values()))
    classes = _classes(everything)
    known = {row.label for _, row in divided["train"]}
    for path, row in everything:
        if row.label not in known:
            raise wrong(
                path,
                row.line,
                row.label,
                "be a class of the training images",
                "add training images of it, or remove the line",
            )
    if len(classes) < 2:
        raise InputError(
            f"{shown(tables['train'])} must have images of two classes at least, but has those of "
            f"{len(classes)}; is its label in another column?"
        )
    numbers = {name: k for k, name in enumerate(classes)}
    parts: dict[str, Part] = {}
    for name, named in divided.items():
        labels = [numbers[row.label] for _, row in named]
        parts[name] = part(named[0][0], [row for _, row in named], images, labels)
    return collected(classes, parts, {})


def part(path: Path, named: Sequence[Row], images: Path, labels: Sequence[int]) -> Part:
    """The images of some rows, each in the plainest spelling of its path.

    Args:
        path: The table.
        named: The rows.
        images: The folder that their paths start from.
        labels: The class of each.

    Raises:
        InputError: a path leads out of the folder.
    """
    backslashes = windows(named)
    names = [_below(path, row, images, windows=backslashes) for row in named]
    return Part(images, names, labels, str(path), [row.line for row in named])


def windows(named: Iterable[Row]) -> bool:
    """Whether the paths of a table part their folders by backslashes."""
    paths = [row.path for row in named]
    return any("\\" in path for path in paths) and not any("/" in path for path in paths)


def _by_split(
    divided: dict[str, list[tuple[Path, Row]]],
) -> dict[str, list[tuple[Path, Row]]]:
    """The rows by part, where a column of splits divides those of the training table."""
    parts: dict[str, list[tuple[Path, Row]]] = {}
    splits = any(row.split for _, row in divided["train"])
    for name, named in divided.items():
        for path, row in named:
            own = name
            if splits and name == "train":
                own = _PART_OF.get(row.split.lower(), "")
                if not own:
                    words = ", ".join(word for words in SPLITS.values() for word in words)
                    raise wrong(
                        path, row.line, row.split, f"have a split of {words}", "correct it"
                    )
                if own in divided and own != "train":
                    raise InputError(
                        f"{shown(path)}:{row.line}: is for {own}, but data.{own}_table names "
                        "those images, too; leave out one of the two"
                    )
            parts.setdefault(own, []).append((path, row))
    return {part: parts[part] for part in SPLITS if part in parts}


def _classes(named: Sequence[tuple[Path, Row]]) -> tuple[str, ...]:
    """The names of the classes in their order."""
    labels = {row.label for _, row in named}
    numbers = all(map(_NUMBER.fullmatch, labels))
    for path, row in named:
        # Some digits of other scripts are numbers to Python, and look like the usual ones.
        odd = row.label.isnumeric() and not row.label.isascii()
        if odd or (numbers and not row.label.isdigit()):
            raise wrong(
                path,
                row.line,
                row.label,
                "have a label that is a name or a whole number from 0",
                "correct it, or give the classes names",
            )
    if not all(label.isdigit() for label in labels):
        return tuple(sorted(labels))
    classes = tuple(sorted(labels, key=lambda label: (int(label), label)))
    for one, two in itertools.pairwise(classes):
        if int(one) == int(two):
            path, row = next((path, row) for path, row in named if row.label == two)
            raise wrong(path, row.line, two, f"be {one!r}, as in other lines", "write it alike")
    return classes


def _below(path: Path, row: Row, folder: Path, *, windows: bool) -> str:
    """The path of a row below the folder of the images, in its plainest spelling.

    Raises:
        InputError: it leads out of the folder.
    """
    name = row.path.replace("\\", "/") if windows else row.path
    top = os.path.join(os.path.abspath(folder), "")
    # An absolute path replaces what stands before it.
    plain = os.path.normpath(os.path.join(top, name))
    if not plain.startswith(top):
        raise wrong(
            path,
            row.line,
            row.path,
            f"be a path below {shown(folder)}",
            "correct it, or set data.images to the folder that the paths start from",
        )
    return plain[len(top) :]
