"""Tables for a terminal of any width: columns are left out before a word is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from raylt import escape

_GAP = 2
"""Spaces between two columns."""
_NARROW = 24
"""The least width of a column whose cells take several lines."""
_LONGEST = 32
"""Letters of a cell beyond which it is cut."""
_WRAPPED = 40
"""Letters of a line of a cell that may have several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table: its head and its cells from the top."""

    head: str
    cells: Sequence[str]
    rank: int = 0
    """A column of a higher rank is left out first, before it one with a dash in every cell; those
    of 0 are always shown."""
    right: bool = True
    """Whether it is aligned to the right, as numbers are."""
    wraps: bool = False
    """Whether a long cell takes several lines, broken between words."""

    @property
    def is_empty(self) -> bool:
        """Whether no row has anything in it."""
        return {*self.cells} == {"-"}

    @property
    def head_lines(self) -> list[str]:
        """The head, broken after underscores: `complement_` over `weight`."""
        return self.head.replace("_", "_\n").split("\n")

    @property
    def width(self) -> int:
        """What it needs so that no word is broken."""
        cells = max((cell_len(cell) for cell in self.cells), default=0)
        most = min(cells, _NARROW if self.wraps else _LONGEST)
        return max(*map(cell_len, self.head_lines), most)


class Columns:
    """A table that shows as many of its columns as fit, and names the others below it.

    Args:
        styles: Of each row; none where empty.
        without: Head of a column -> what to say below where there is no room for it.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        styles: Sequence[str] = (),
        *,
        without: Mapping[str, str] | None = None,
    ) -> None:
        # A control character is shown by more letters than it has.
        self._columns = [
            replace(column, cells=[*map(escape.terminal, column.cells)]) for column in columns
        ]
        self._styles, self._without = styles, without or {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = fitting(self._columns, options.max_width)
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        lines = max(len(column.head_lines) for column in shown)
        for column in shown:
            table.add_column(
                # The last lines of all heads stand beside each other.
                "\n".join([""] * (lines - len(column.head_lines)) + column.head_lines),
                justify="right" if column.right else "left",
                no_wrap=not column.wraps,
                max_width=_WRAPPED if column.wraps else max(_LONGEST, column.width),
            )
        rows = zip(*(column.cells for column in shown), strict=True)
        for i, row in enumerate(rows):
            table.add_row(*map(Text, row), style=self._styles[i] if self._styles else None)
        yield table
        if hidden := [column.head for column in self._columns if column not in shown]:
            notes = [self._without[head] for head in hidden if head in self._without]
            yield Text("; ".join([f"no room for: {', '.join(hidden)}", *notes]), style="dim")


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit beside each other, those of a low rank first; those with dashes alone
    only where all others fit."""
    chosen: list[Column] = []
    room, is_full = width + _GAP, False
    for column in sorted(columns, key=lambda column: (column.is_empty, column.rank)):
        fits = column.width + _GAP <= room and not (column.is_empty and is_full)
        if column.rank == 0 or fits:
            chosen.append(column)
            room -= column.width + _GAP
        else:
            is_full = True
    return [column for column in columns if column in chosen]
