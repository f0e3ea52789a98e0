"""The tables of the report, as HTML."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from raylt import escape

_LONG = 25
"""Letters of a cell from which it takes several lines."""
Cell = str | tuple[str, float]
"""A text, and what it is sorted by where that is something else."""


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    kinds: Sequence[str] = (),
    sortable: bool = False,
) -> str:
    """Rows under their heads; a row of one cell says what those below it are.

    Args:
        kinds: The classes of the rows in the style sheet.
    """
    # On paper a long name is broken rather than the table cut off.
    names = [escape.html(name).replace("_", "_<wbr>") for name in heads]
    names = [f"<button type='button'>{name}</button>" for name in names] if sortable else names
    head = "".join(f"<th scope='col'>{name}</th>" for name in names)
    lines = "\n".join(
        f"<tr><td class='quiet' colspan='{len(heads)}'>{escape.html(str(row[0]))}</td></tr>"
        if len(row) == 1 < len(heads)
        else f"<tr class='{kind}'>{''.join(map(_cell, row))}</tr>"
        for row, kind in itertools.zip_longest(rows, kinds, fillvalue="")
    )
    return (
        f"<div class='wide'><table><thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table>"
        f"</div>"
    )


def _cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return f"<td data-value='{cell[1]}'>{escape.html(cell[0])}</td>"
    words = escape.html(cell).replace("_", "_<wbr>")
    return f"<td{' class=long' if len(cell) > _LONG else ''}>{words}</td>"


def filled(
    heads: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> tuple[list[str], list[list[Cell]]]:
    """A table without the columns in which no row has anything."""
    kept = [any(row[i] not in ("", "-") for row in rows) for i in range(len(heads))]
    return [*itertools.compress(heads, kept)], [[*itertools.compress(row, kept)] for row in rows]


def facts(known: Mapping[str, str]) -> str:
    """Values beside their names."""
    lines = "\n".join(
        f"<tr><td>{escape.html(name)}</td><td>{escape.html(value)}</td></tr>"
        for name, value in known.items()
    )
    return f"<div class='wide'><table class='words'>\n{lines}</table></div>"
