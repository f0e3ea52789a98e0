"""What a command waits for: said at once, before what takes long is even imported."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextlib.contextmanager
def waiting(reason: str, *, quiet: bool = False, brief: bool = False) -> Generator[None]:
    """Say what a command waits for, on standard error, for the time of a `with`.

    On a terminal a line with the seconds so far, gone at the end; elsewhere one plain line, which
    stays.

    Args:
        brief: It takes no longer than a person notices: say nothing where nobody watches.
    """
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from raylt import escape

    console = escape.console(stderr=True, quiet=quiet)
    if watched(console) and not quiet:
        columns = (TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, refresh_per_second=1) as line:
            line.add_task(reason, total=None)
            yield
    else:
        if not brief:
            console.print(f"{reason} ...", soft_wrap=True, highlight=False, markup=False)
        yield


def watched(console: Console) -> bool:
    """Whether a person watches: both streams are a terminal that can move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal and sys.stdout.isatty()
