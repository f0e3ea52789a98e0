"""A YAML 1.2 file as plain values, and the line that each value stands on.

Space files and profiles come from strangers, so the language is kept small: mappings, lists and
scalars. Anchors, aliases and tags are refused, `no` is a word, `1e-5` is a number, and a key may
stand only once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from raylt.schema import InputError
from raylt.space.file import grammar
from raylt.space.file.grammar import Keys, Place

LARGEST = 2**20
"""Bytes that a file may have."""
COMMAND_LINE = Place("command line", 0, 0)
_UNREADABLE: dict[type[Exception], str] = {
    FileNotFoundError: "it does not exist; check the spelling and the working directory",
    IsADirectoryError: "it is a directory; name a file in it",
    PermissionError: "you have no permission to read it; ask its owner",
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says."""

    source: str
    """The file as the user named it."""
    values: dict[str, Any]
    """Nested mappings, lists and scalars."""
    places: Mapping[Keys, Place]
    """The place of each value: that of its key, or of the item in a list."""

    def place(self, keys: Keys) -> Place:
        """The place of a value, or of the nearest mapping around one that is not there."""
        while keys and keys not in self.places:
            keys = keys[:-1]
        return self.places.get(keys, Place(self.source, 1, 1))

    def error(self, keys: Keys, message: str) -> InputError:
        """`file:line: key: message`; a key of the recipe is named without `recipe.`."""
        name = ".".join(map(str, keys)).removeprefix("recipe.")
        return InputError(": ".join(filter(None, (str(self.place(keys)), name, message))))

    def at(self, keys: Keys) -> Any:
        """The value that stands there."""
        value: Any = self.values
        for key in keys:
            value = value[key]
        return value

    def put(self, keys: tuple[str, ...], value: Any) -> Document:
        """This document with one value replaced or added, as by `key=value` on the command line.

        Raises:
            InputError: a key on the way holds something other than a mapping.
        """
        values = deepcopy(self.values)
        inner: Any = values
        for depth, key in enumerate(keys[:-1], start=1):
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                way = ".".join(keys[:depth])
                raise InputError(
                    f"{COMMAND_LINE}: {'.'.join(keys)}: {way} must be a mapping to hold "
                    f"{keys[depth]!r}, but it is {inner!r} at {self.place(keys[:depth])}; "
                    f"give {way} itself a value"
                )
        inner[keys[-1]] = value
        kept = {k: v for k, v in self.places.items() if k[: len(keys)] != keys}
        return replace(self, values=values, places={**kept, keys: COMMAND_LINE})

    def remove(self, keys: Keys) -> Document:
        """This document without one value."""
        copy = replace(self, values=deepcopy(self.values))
        del copy.at(keys[:-1])[keys[-1]]
        return copy


def read(source: Path | str) -> Document:
    """Parse a file; `-` is the standard input.

    Raises:
        InputError: the file cannot be read, or is not what a space or profile may be.
    """
    if str(source) == "-":
        name, raw = "<stdin>", sys.stdin.buffer.read(LARGEST + 1)
    else:
        name, raw = str(source), _bytes(Path(source))
    if len(raw) > LARGEST:
        raise InputError(
            f"{name}: the file must be at most {LARGEST} bytes, but it is larger; "
            f"check that this is the file you mean"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name}:{line}: the file must be UTF-8, but byte {error.start} is "
            f"{raw[error.start]:#04x}; save it as UTF-8"
        ) from None
    return parse(text, name)


def parse(text: str, source: str) -> Document:
    """Parse the text of one document whose top is a mapping.

    Raises:
        InputError: the text breaks a rule of this module, with file and line.
    """
    values, places = grammar.build(text, source)
    if values is None:
        raise InputError(
            f"{source}: the file must hold a mapping, but it is empty; search_spaces/ has examples"
        )
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else f"the single value {values!r}"
        raise InputError(
            f"{source}:1: the file must hold a mapping of keys to values, but its "
            f"top is {kind}; start with `study:`"
        )
    return Document(source, values, places)


def value(text: str, source: str) -> Any:
    """One value in YAML's notation, as after the `=` of `key=value`.

    Raises:
        InputError: the text breaks a rule of this module.
    """
    return grammar.build(text, source)[0]


def dump(values: Mapping[str, Any]) -> str:
    """The text of a file that `parse` reads back to equal values; whole numbers must be smaller
    than 2^63, as there."""
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[reportAttributeAccessIssue]
    yaml.width = 2**16
    yaml.allow_unicode = True
    # Equal lists are written out twice, since this language has no aliases.
    yaml.representer.ignore_aliases = lambda _: True
    yaml.dump(values, out)
    return out.getvalue()


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = _UNREADABLE.get(type(error)) or (
            f"the system says: {getattr(error, 'strerror', None) or error}"
        )
        raise InputError(f"{path}: the file must be readable, but {reason}") from None
