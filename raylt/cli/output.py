"""How results are printed."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from raylt import escape

if TYPE_CHECKING:
    from raylt.study.run.result import Result

_WIDE = 1000
"""Columns of a table that is written to a file or a pipe."""
_COMMAND = re.compile("`[^`]*`")
_SPACE = "\x00"
"""Stands for a space inside a command while its line is broken."""


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text; what a terminal would obey in it is shown."""
    click.echo(escape.terminal(str(text)), err=err, nl=nl)


def tell(text: str, *, err: bool = False) -> None:
    """Print lines that suit the width of the terminal; those for a file or a pipe stay whole."""
    if (sys.stderr if err else sys.stdout).isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(fitted(line, width) for line in text.split("\n"))
    echo(text, err=err)


def fitted(line: str, width: int) -> str:
    """A line broken between words, and in no command; below its last column, where it has some."""
    line = escape.terminal(line)
    # A command that is not part of a sentence is copied, so it stays one line.
    if len(line) <= width or re.search("raylt [a-z]", _COMMAND.sub("", line)):
        return line
    gap = max((m.end() for m in re.finditer(r"(?<=\S)  +", line)), default=width)
    indent = gap if gap <= width // 2 else len(line) - len(line.lstrip()) + 2
    return textwrap.fill(
        _COMMAND.sub(lambda command: command[0].replace(" ", _SPACE), line),
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_SPACE, " ")


def print_json(values: Any) -> None:
    """Print a result for programs."""
    echo(json.dumps(_finite(values), indent=2, default=str, allow_nan=False))


def _finite(values: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def print_summary(result: Result) -> None:
    """Print the ranking of a search for people."""
    from raylt.study.run import summary

    show(*summary.parts(result))


def show(*parts: Any) -> None:
    """Print what rich lays out: texts, and tables that suit the width of the terminal."""
    # A file or a pipe has no edge of a screen.
    on_screen = sys.stdout.isatty()
    console = escape.console(width=None if on_screen else _WIDE)
    with console.capture() as captured:
        for part in parts:
            # A command stays one line, so that it can be copied.
            whole = isinstance(part, str) and (not on_screen or "raylt " in part)
            text = fitted(part, console.width) if whole and on_screen else part
            console.print(text, soft_wrap=whole, highlight=False, markup=False)
    text = captured.get()
    click.echo(text if on_screen else re.sub(r" +$", "", text, flags=re.MULTILINE), nl=False)


def help_without_verb(context: click.Context) -> None:
    """Print the help of a group that is called without one of its verbs."""
    if context.invoked_subcommand is None:
        echo(context.get_help())
