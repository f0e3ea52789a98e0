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
from raylt.data.reading.rows import Columns, Row
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

    Raises:
        InputError: a table has a wrong line, a class has no training image, a path leads out of
            the folder, or two rows are one file.
        EnvironmentError: no image is there.
    """
    problems: list[str] = []
    named = {name: rows.read(path, columns, problems) for name, path in tables.items()}
    divided = _by_split(named, problems)
    if "train" not in divided:
        rows.require_none(problems)
        raise InputError(f"{shown(tables['train'])} must have training images, but has none")
    everything = list(itertools.chain.from_iterable(divided.values()))
    classes = _classes(everything, problems)
    known = {row.label for row in divided["train"]}
    problems += [
        row.wrong(f"class {row.label[:200]!r} has no training images; add some, or remove the row")
        for row in everything
        if row.label not in known
    ]
    numbers = {name: k for k, name in enumerate(classes)}
    parts = {
        name: part(of_part, images, [numbers[row.label] for row in of_part], problems)
        for name, of_part in divided.items()
    }
    rows.require_none(problems)
    if len(classes) < 2:
        raise InputError(
            f"{shown(tables['train'])} must have images of two classes at least, but has those of "
            f"{len(classes)}; is its label in another column?"
        )
    return collected(classes, parts, {})


def part(named: Sequence[Row], images: Path, labels: Sequence[int], problems: list[str]) -> Part:
    """The images of some rows, each in the plainest spelling of its path.

    Args:
        images: The folder that their paths start from.
        problems: Takes what is wrong with rows whose path leads out of the folder.
    """
    backslashes, top = windows(named), os.path.join(os.path.abspath(images), "")
    names: list[str] = []
    for row in named:
        path = row.path.replace("\\", "/") if backslashes else row.path
        # An absolute path replaces what stands before it.
        plain = os.path.normpath(os.path.join(top, path))
        names.append(plain[len(top) :])
        if not plain.startswith(top):
            problems.append(
                row.wrong(
                    f"the path must lie below {shown(images)}, but is {row.path[:200]!r}; correct "
                    f"it, or set data.images to the folder that the paths start from"
                )
            )
    return Part(images, names, labels, str(named[0].table), [row.line for row in named])


def windows(named: Iterable[Row]) -> bool:
    """Whether the paths of a table part their folders by backslashes."""
    paths = [row.path for row in named]
    return any("\\" in path for path in paths) and not any("/" in path for path in paths)


def _by_split(divided: Mapping[str, Sequence[Row]], problems: list[str]) -> dict[str, list[Row]]:
    """The rows by part, where a column of splits divides those of the training table.

    Those with another split go to `problems`.
    """
    parts: dict[str, list[Row]] = {part: [] for part in SPLITS}
    splits = any(row.split for row in divided["train"])
    for name, named in divided.items():
        if name != "train" or not splits:
            parts[name] += named
            continue
        for row in named:
            own = _PART_OF.get(row.split.lower(), "")
            if not own:
                words = ", ".join(_PART_OF)
                must = f"the split must be one of {words}, but is {row.split[:200]!r}"
                problems.append(row.wrong(f"{must}; correct it"))
            elif own in divided and own != "train":
                raise InputError(
                    row.wrong(
                        f"is for {own}, but data.{own}_table names those images, too; leave out "
                        f"one of the two"
                    )
                )
            else:
                parts[own].append(row)
    return {part: named for part, named in parts.items() if named}


def _classes(named: Sequence[Row], problems: list[str]) -> tuple[str, ...]:
    """The names of the classes in their order; labels that are none go to `problems`."""
    labels = {row.label for row in named}
    numbers = all(map(_NUMBER.fullmatch, labels))
    for row in named:
        # Some digits of other scripts are numbers to Python, and look like the usual ones.
        odd = row.label.isnumeric() and not row.label.isascii()
        if odd or (numbers and not row.label.isdigit()):
            must = f"the label must be a name or a whole number from 0, but is {row.label!r}"
            problems.append(row.wrong(f"{must}; correct it, or give the classes names"))
    if not all(label.isascii() and label.isdigit() for label in labels):
        return tuple(sorted(labels))
    classes = tuple(sorted(labels, key=lambda label: (int(label), label)))
    for first, second in itertools.pairwise(classes):
        if int(first) == int(second):
            problems += [
                row.wrong(
                    f"the label must be {first!r}, as in other rows, but is {second!r}; write it "
                    f"alike"
                )
                for row in named
                if row.label == second
            ]
    return classes
