"""What the shell completes after `raylt`: verbs and options by click, studies and spaces by us."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from raylt.space.file.bundled import Kind

VARIABLE = "_RAYLT_COMPLETE"
"""Set by the shell when it asks; `_RAYLT_COMPLETE=bash_source raylt` prints how it is to ask."""


def answer(commands: click.Command) -> int | None:
    """Answer a shell that asks for a completion; returns the exit code, or None if none asks."""
    if not (instruction := os.environ.get(VARIABLE)):
        return None
    from click.shell_completion import FishComplete, add_completion_class, shell_complete

    class Fish(FishComplete):
        # click's script would end a summary at its first comma.
        source_template = FishComplete.source_template.replace("split ", "split -m 1 ")

    add_completion_class(Fish)
    return shell_complete(commands, {}, "raylt", VARIABLE, instruction)


def beginning(start: str, words: Iterable[str]) -> list[str]:
    """The words that begin like one that is half written."""
    return [word for word in words if word.startswith(start)]


def studies(context: click.Context, param: click.Parameter, start: str) -> list[str]:
    """The studies in the folder of runs; their databases are not opened."""
    runs = context.params.get("runs") or os.environ.get("RAYLT_RUNS") or "runs"
    return beginning(start, sorted(path.parent.name for path in Path(runs).glob("*/space.yaml")))


def spaces(context: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """The space files that come with raylt, and files."""
    return _named("search_spaces", start)


def profiles(context: click.Context, param: click.Parameter, start: str) -> list[CompletionItem]:
    """The profiles of clusters that come with raylt, and files."""
    return _named("clusters", start)


def _named(kind: Kind, start: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from raylt.space.file import bundled

    names = sorted(beginning(start, bundled.files(kind)))
    # bash forgets what came before the files.
    return [CompletionItem(start, type="file"), *map(CompletionItem, names)]
