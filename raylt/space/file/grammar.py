"""The grammar of space files: a small part of YAML 1.2, read event by event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from raylt.schema import InputError

Keys = tuple[str | int, ...]
"""The way to a value: the keys of mappings and the places (from 0) in lists."""

DEEPEST = 20
"""Levels of nesting that a file may have."""
LARGEST = 2**63
"""Whole numbers are smaller, as in everything that computes with them."""
LONGEST = 20_000
"""Values that a file may have: a second of parsing."""

# The core schema of YAML 1.2, section 10.3.2.
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("null", "Null", "NULL", "~", "")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEXADECIMAL = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands; lines and columns count from 1, and line 0 is the command line."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


def build(text: str, source: str) -> tuple[Any, dict[Keys, Place]]:
    """The value that a text writes down, and the place of each part of it.

    Raises:
        InputError: the text breaks a rule of the grammar, with `source` and line.
    """
    builder = _Builder(source)
    return builder.top(text), builder.places


class _Builder:
    """Turns the events of one document into values, and remembers where each stood."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[Keys, Place] = {}
        self._nodes = 0

    def top(self, text: str) -> Any:
        for number, line in enumerate(text.splitlines(), start=1):
            if "\t" in line[: len(line) - len(line.lstrip())]:
                raise InputError(
                    f"{self.source}:{number}: a line must be indented with spaces, but this one "
                    f"has a tab; replace it"
                )
        try:
            return self._document(self._events(text))
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            what = error.problem or error.context or "this is not YAML"
            raise InputError(
                f"{self.source}:{line}: the file must be YAML, but {what}; check the colons, "
                f"quotes and brackets there"
            ) from None
        except ReaderError as error:
            line = text[: error.position].count("\n") + 1
            raise InputError(
                f"{self.source}:{line}: the file must be plain text, but it has the "
                f"character {text[error.position]!r}; remove it"
            ) from None

    def _events(self, text: str) -> Iterator[Event]:
        # The safe loader's Python parser: lazily, so that a hostile file is left at the first
        # event that breaks a rule.
        return iter(YAML(typ="safe", pure=True).parse(text))

    def _document(self, events: Iterator[Event]) -> Any:
        next(events)  # the start of the stream
        start = next(events)
        if isinstance(start, StreamEndEvent):
            return None
        value = self._node(next(events), events, ())
        end = next(events)
        assert isinstance(end, DocumentEndEvent)
        after = next(events)
        if not isinstance(after, StreamEndEvent):
            raise self._error(
                after,
                "a file must hold one document, but `---` starts another; keep each in its own "
                "file",
            )
        return value

    def _node(self, event: Event, events: Iterator[Event], keys: Keys) -> Any:
        self._refuse(event, keys)
        self.places.setdefault(keys, self._place(event))
        if isinstance(event, ScalarEvent):
            return self._scalar(event) if event.implicit[0] else event.value
        if isinstance(event, SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := next(events), SequenceEndEvent):
                items.append(self._node(item, events, (*keys, len(items))))
            return items
        values: dict[str, Any] = {}
        while not isinstance(key := next(events), MappingEndEvent):
            name = self._key(key, keys)
            if name in values:
                first = self.places[*keys, name].line
                raise self._error(
                    key,
                    f"{'.'.join(map(str, (*keys, name)))}: a key must be given once, but this one "
                    f"is already on line {first}; keep one of the two",
                )
            self.places[*keys, name] = self._place(key)
            values[name] = self._node(next(events), events, (*keys, name))
        return values

    def _key(self, event: Event, keys: Keys) -> str:
        self._refuse(event, keys)
        if isinstance(event, ScalarEvent):
            return event.value
        raise self._error(event, "a key must be a word, but this is a list or a mapping")

    def _refuse(self, event: Event, keys: Keys) -> None:
        """Refuse everything that the language leaves out."""
        self._nodes += 1
        if self._nodes > LONGEST:
            raise self._error(event, f"a file must hold at most {LONGEST} values; shorten it")
        if len(keys) > DEEPEST:
            raise self._error(event, f"values must be nested at most {DEEPEST} deep; flatten them")
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            raise self._error(
                event,
                "anchors (&) and aliases (*) must not be used; write the value out, or quote "
                "it if it is a text",
            )
        if isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent) and event.tag:
            raise self._error(
                event,
                f"tags must not be used, but got {event.tag}; write the plain value",
            )

    def _scalar(self, event: ScalarEvent) -> Any:
        text = event.value
        if text in _WORDS:
            return _WORDS[text]
        decimal, other = _DECIMAL.fullmatch(text), _OCTAL_OR_HEXADECIMAL.fullmatch(text)
        real = _REAL.fullmatch(text) or _NOT_FINITE.fullmatch(text)
        if (other or real) and len(text) > 400:
            raise self._error(
                event,
                f"a number must have at most 400 digits, but this has {len(text)}; shorten it",
            )
        if decimal or other:
            number = int(text, base=10 if decimal else 0)
            if abs(number) >= LARGEST:
                raise self._error(
                    event,
                    f"a whole number must be less than 2^63, but got {text[:20]}...; write a real "
                    f"one such as 1e30, or quote it if it is a text",
                )
            return number
        if real:
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text

    def _place(self, event: Event) -> Place:
        mark = event.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1)

    def _error(self, event: Event, message: str) -> InputError:
        return InputError(f"{self._place(event)}: {message}")
