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
    problems: list[str] = []
    named = {
        name: [(path, row) for row in rows.read(path, columns, problems)]
        for name, path in tables.items()
    }
    divided = _by_split(named, problems)
    if "train" not in divided:
        rows.require_none(problems)
        raise InputError(f"{shown(tables['train'])} must have training images, but has none")
    everything = list(itertools.chain.from_iterable(divided.values()))
    classes = _classes(everything, problems)
    known = {row.label for _, row in divided["train"]}
    problems += [
        wrong(
            path,
            row.line,
            f"class {row.label[:200]!r} has no training images; add some, or remove the row",
        )
        for path, row in everything
        if row.label not in known
    ]
    for named_rows in divided.values():
        backslashes = windows(row for _, row in named_rows)
        problems += [
            wrong(path, row.line, outside)
            for path, row in named_rows
            if (outside := _outside(row, images, windows=backslashes))
        ]
    rows.require_none(problems)
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
    backslashes, top = windows(named), os.path.join(os.path.abspath(images), "")
    rows.require_none(
        [
            wrong(path, row.line, outside)
            for row in named
            if (outside := _outside(row, images, windows=backslashes))
        ]
    )
    names = [_plain(row, top, windows=backslashes)[len(top) :] for row in named]
    return Part(images, names, labels, str(path), [row.line for row in named])


def windows(named: Iterable[Row]) -> bool:
    """Whether the paths of a table part their folders by backslashes."""
    paths = [row.path for row in named]
    return any("\\" in path for path in paths) and not any("/" in path for path in paths)


def _by_split(
    divided: dict[str, list[tuple[Path, Row]]], problems: list[str]
) -> dict[str, list[tuple[Path, Row]]]:
    """The rows by part, where a column of splits divides those of the training table.

    Those with another split go to `problems`.
    """
    parts: dict[str, list[tuple[Path, Row]]] = {}
    splits = any(row.split for _, row in divided["train"])
    for name, named in divided.items():
        for path, row in named:
            own = name
            if splits and name == "train":
                own = _PART_OF.get(row.split.lower(), "")
                if not own:
                    words = ", ".join(word for words in SPLITS.values() for word in words)
                    must = f"the split must be one of {words}, but is {row.split[:200]!r}"
                    problems.append(wrong(path, row.line, f"{must}; correct it"))
                    continue
                if own in divided and own != "train":
                    raise InputError(
                        f"{shown(path)}:{row.line}: is for {own}, but data.{own}_table names "
                        "those images, too; leave out one of the two"
                    )
            parts.setdefault(own, []).append((path, row))
    return {part: parts[part] for part in SPLITS if part in parts}


def _classes(named: Sequence[tuple[Path, Row]], problems: list[str]) -> tuple[str, ...]:
    """The names of the classes in their order; labels that are none go to `problems`."""
    labels = {row.label for _, row in named}
    numbers = all(map(_NUMBER.fullmatch, labels))
    for path, row in named:
        # Some digits of other scripts are numbers to Python, and look like the usual ones.
        odd = row.label.isnumeric() and not row.label.isascii()
        if odd or (numbers and not row.label.isdigit()):
            must = f"the label must be a name or a whole number from 0, but is {row.label!r}"
            problems.append(
                wrong(path, row.line, f"{must}; correct it, or give the classes names")
            )
    if not all(label.isascii() and label.isdigit() for label in labels):
        return tuple(sorted(labels))
    classes = tuple(sorted(labels, key=lambda label: (int(label), label)))
    for first, second in itertools.pairwise(classes):
        if int(first) == int(second):
            problems += [
                wrong(
                    path,
                    row.line,
                    f"the label must be {first!r}, as in other rows, but is {second!r}; "
                    f"write it alike",
                )
                for path, row in named
                if row.label == second
            ]
    return classes


def _outside(row: Row, folder: Path, *, windows: bool) -> str:
    """What is wrong with a path that leads out of the folder of the images, or ""."""
    top = os.path.join(os.path.abspath(folder), "")
    if _plain(row, top, windows=windows).startswith(top):
        return ""
    return (
        f"the path must lie below {shown(folder)}, but is {row.path[:200]!r}; correct it, or set "
        f"data.images to the folder that the paths start from"
    )


def _plain(row: Row, top: str, *, windows: bool) -> str:
    """The path of a row in its plainest spelling."""
    name = row.path.replace("\\", "/") if windows else row.path
    # An absolute path replaces what stands before it.
    return os.path.normpath(os.path.join(top, name))
