"""Text of others made safe for each way out: the terminal, Markdown in MLflow, HTML.

A name in a space file, the source of a baseline or the answer of a server may hold anything. What
the way out would obey instead of show is escaped here, and nowhere else.
"""

from __future__ import annotations

import html as _html
import logging
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# All control characters but line break and tab, and the marks that turn the direction of writing.
_CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|!~])")


def terminal(text: str) -> str:
    """A text whose control characters are shown as `\\x1b` instead of sent to the terminal."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def html(text: str) -> str:
    """A text for an HTML page, inside an element or an attribute in quotes."""
    return _html.escape(terminal(text))


def html_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A small table for a notebook, with the colours and letters of the page, light or dark."""
    style = "border-bottom:1px solid rgba(128,128,128,.35);padding:.2em .7em;text-align:left"

    def row(tag: str, cells: Sequence[str]) -> str:
        return "".join(f"<{tag} style='{style}'>{html(cell)}</{tag}>" for cell in cells)

    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    of_page = "border-collapse:collapse;color:inherit;font:inherit"
    return (
        f"<div><p><b>{html(caption)}</b></p><table style='{of_page}'>"
        f"<thead><tr>{row('th', heads)}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def text_table(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """Rows as lines with aligned columns.

    Args:
        right: The columns that are aligned to the right, counted from 0.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def markdown(text: str) -> str:
    """A text for one paragraph or one cell of Markdown, which shows it as it is."""
    line = " ".join(terminal(text).split())
    # MLflow shows the backslash before a sign of HTML.
    return _html.escape(_MARKDOWN.sub(r"\\\1", line), quote=False)


def code(text: str) -> str:
    """A text as code inside a paragraph of Markdown."""
    line = " ".join(terminal(text).split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"`{line}`"


def console(**options: Any) -> Console:
    """A console of rich whose own colours and moves reach the terminal, but none of a text."""
    from rich.console import Console
    from rich.segment import Segment

    class Escaping(Console):
        def on_broken_pipe(self) -> None:
            # rich would end the process, in the middle of a search too.
            raise

        def render(self, renderable: Any, options: Any = None) -> Any:
            for segment in super().render(renderable, options):
                if segment.control:
                    yield segment
                else:
                    yield Segment(terminal(segment.text), segment.style)

    return Escaping(**options)


class Formatter(logging.Formatter):
    """Formats what is logged for the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, safe."""
        return terminal(super().format(record))
