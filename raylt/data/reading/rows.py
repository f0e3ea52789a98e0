"""Rows of tables and lists of images: CSV, TSV and `path label` text, in any usual encoding."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from raylt.data.reading.paths import listing, shown
from raylt.plugins import did_you_mean
from raylt.schema import InputError

HEADS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img"),
    "label": ("label", "labels", "class", "class_name", "category", "target", "species"),
    "split": ("split", "set", "subset", "part"),
}
"""The heads of columns that are known without being named, in small letters."""
_LARGEST = 2**30
"""Bytes of the largest table that is read."""
_LONGEST = 255
"""Characters of the longest label."""
TABLES = (".csv", ".tsv", ".tab")
"""The endings of tables; any other file is a list of `path label`."""
_MARKS = (
    # That of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Columns(NamedTuple):
    """Which columns of a table count; those without a name are known by their heads."""

    path: str | None = None
    label: str | None = None
    split: str | None = None


class Row(NamedTuple):
    """One image of a table."""

    table: Path
    line: int
    path: str
    label: str
    split: str
    """"" where the table has no such column."""

    def wrong(self, sentence: str) -> str:
        """What is wrong with the row, after its place."""
        return f"{shown(self.table)}:{self.line}: {sentence}"


def read(
    path: Path,
    columns: Columns = Columns(),  # noqa: B008
    problems: list[str] | None = None,
) -> list[Row]:
    """The rows of a table or a list, in its order.

    A table has its columns parted by tabs, commas or semicolons, and a first line of heads, or
    `path,label` or `path,label,split` in each line. A list has `path label` in each line; there
    the path may hold blanks. Empty lines and lines that begin with `# ` are passed over.

    Args:
        problems: Takes what is wrong with rows, which are left out; without it they are refused.

    Raises:
        InputError: it cannot be read or is empty, or a line has no path and label.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_text(path).replace("\r\n", "\n").split("\n"), 1)
        if line.strip() and line.strip() != "#" and not line.startswith(("# ", "sep="))
    ]
    if not lines:
        raise InputError(
            f"a list of images must name at least one, but {shown(path)} is empty; name another"
        )
    first = lines[0][1]
    split = _splitter(first, _delimiter(first, path.suffix.lower() in TABLES))
    place = f"{shown(path)}:{lines[0][0]}"
    try:
        heads = split(first)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from None
    places = _places(place, heads, columns)
    if places is None and not 2 <= len(heads) <= 3:
        raise InputError(
            f"{place}: the first row must be `path,label`, {_is(first)}; correct it, or add a row "
            f"of heads"
        )
    own: list[str] = []
    rows: list[Row] = []
    for number, text in lines[1:] if places else lines:
        try:
            rows.append(Row(path, number, *_row(text, split(text), places, len(heads))))
        except ValueError as error:
            own.append(f"{shown(path)}:{number}: {error}")
    if problems is None:
        require_none(own)
    else:
        problems += own
    if not rows and not own:
        raise InputError(f"{shown(path)} must name an image, but has its heads only; add some")
    return rows


def require_none(problems: Sequence[str]) -> None:
    """Refuse rows with which something is wrong, all at once.

    Raises:
        InputError: there are such.
    """
    if len(problems) == 1:
        raise InputError(problems[0])
    if problems:
        raise InputError(f"{len(problems)} rows must be corrected:\n{listing(problems)}")


def _is(text: str) -> str:
    """What stands there, with its odd characters shown."""
    return f"but is {text[:200]!r}"


def _text(path: Path) -> str:
    reason = None
    try:
        if not path.exists():
            reason = "there is no such file"
        elif not path.is_file():
            reason = "it is no regular file"
        elif path.stat().st_size > _LARGEST:
            reason = f"it has more than {_LARGEST:,} bytes"
        else:
            content = path.read_bytes()
            coding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
            if coding != "utf-8" or b"\0" not in content:
                return content.decode(coding)
            reason = "it holds zero bytes; save it as UTF-8"
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        odd = f"{error.object[error.start]:#x}"
        reason = f"line {line} is no {error.encoding}: {odd}; save it as UTF-8"
    raise InputError(
        f"a list of images must be a text file with `path label` in each line, but {shown(path)} "
        f"cannot be read ({reason}); name another"
    )


def _delimiter(line: str, table: bool) -> str:
    """What parts the columns, as the first line has it; " " is any blank before the label."""
    if "\t" in line:
        return "\t"
    if table:
        return next((mark for mark in ",;" if mark in line), " ")
    # A path may hold blanks and commas: what stands before the label counts.
    marks = line.strip().replace(", ", ",").replace("; ", ";")
    return max(" ,;", key=marks.rfind)


def _splitter(first: str, delimiter: str) -> Callable[[str], list[str]]:
    """What parts a line into its columns, and raises a ValueError for one that has none."""
    # Only a head of three columns says that a list has a third one.
    blanks = 2 if len(first.split()) == 3 and _known(first.split()) else 1

    def split(line: str) -> list[str]:
        if delimiter == " ":
            return line.strip().rsplit(None, blanks)
        try:
            (values,) = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
        except csv.Error as error:
            raise ValueError(
                f"the row must be readable as columns, {_is(line)}; correct it: {error}"
            ) from None
        return [value.strip() for value in values]

    return split


def _known(heads: Sequence[str]) -> dict[str, int] | None:
    """The places of the columns, if a line holds heads and no image."""
    small = [head.strip().lower() for head in heads]
    places = {
        kind: small.index(name)
        for kind, names in HEADS.items()
        if (name := next((name for name in names if name in small), None))
    }
    return places if {"path", "label"} <= set(places) else None


def _places(place: str, heads: Sequence[str], columns: Columns) -> dict[str, int] | None:
    """Where the path, the label and the split stand, by the heads; None without heads."""
    named = {kind: name for kind, name in columns._asdict().items() if name is not None}
    if not named:
        return _known(heads)
    for kind, name in named.items():
        if name not in heads:
            raise InputError(
                f"{place}: must have the column {name!r} of data.{kind}_column, "
                f"but has {', '.join(map(repr, heads))}{did_you_mean(name, heads)}"
            )
    small = [head.lower() for head in heads]
    places = {kind: heads.index(name) for kind, name in named.items()}
    for kind in {"path", "label"} - set(places):
        known = [name for name in HEADS[kind] if name in small]
        if not known:
            raise InputError(
                f"{place}: must have a column for the {kind}, but has "
                f"{', '.join(map(repr, heads))}; name it by data.{kind}_column"
            )
        places[kind] = small.index(known[0])
    return places


def _row(
    line: str, values: Sequence[str], places: dict[str, int] | None, width: int
) -> tuple[str, str, str]:
    """Path, label and split of a row; without heads they stand in this order.

    Raises:
        ValueError: something is wrong with it.
    """
    places = places or dict(zip(("path", "label", "split"), range(width), strict=False))
    if not max(places.values()) < len(values) <= width:
        raise ValueError(f"the row must have a path and a label, {_is(line)}; correct it")
    name, label = values[places["path"]].strip(), values[places["label"]].strip()
    if not name or not label:
        raise ValueError(f"the row must have a path and a label, {_is(line)}; add what is missing")
    if len(label) > _LONGEST:
        raise ValueError(
            f"the label must have at most {_LONGEST} characters, {_is(label)}; shorten it"
        )
    return name, label, values[places["split"]].strip() if "split" in places else ""
