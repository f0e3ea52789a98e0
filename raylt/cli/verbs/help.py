"""`raylt help`: what a verb does, and what a key of a file means."""

from __future__ import annotations

import contextlib
import shutil
import textwrap
from collections.abc import Iterable, Sequence

import click

from raylt.cli import complete, output


def _verbs(context: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The verbs that begin like a word."""
    group = context.find_root().command
    for word in context.params["words"] or ():
        group = group.commands.get(word) if isinstance(group, click.Group) else None
    verbs = group.commands if isinstance(group, click.Group) else ()
    return complete.beginning(incomplete, verbs)


@click.command("help")
@click.argument(
    "words", nargs=-1, metavar="[VERB | KEY | METRIC | METHOD]...", shell_complete=_verbs
)
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain a verb, a method, a metric, or a key of a file.

    \b
    Examples:
      raylt help tune
      raylt help space diff
      raylt help method.temperature
      raylt help paco
      raylt help val/few
    """
    root = context.find_root()
    assert isinstance(root.command, click.Group)
    if not words or words[0] in root.command.commands:
        output.echo(_of_verb(root, words))
    elif len(words) == 1:
        output.echo(_of_key(words[0], root.command.commands))
    else:
        raise click.UsageError(
            f"must be a verb, or one key, metric or method, but got '{' '.join(words)}'"
            f"{_instead(words)}",
            context,
        )


def _instead(words: Sequence[str]) -> str:
    """What to type in place of several words."""
    from raylt.reference import keys
    from raylt.schema import InputError

    for word in (".".join(words), *reversed(words)):
        with contextlib.suppress(InputError):
            keys.find(word)
            return f"; type `raylt help {word}`"
    return ""


def _of_key(word: str, verbs: Iterable[str]) -> str:
    """The entries of a key, a method, a metric or another column of a trial.

    Raises:
        InputError: it is none of them, nor a verb.
    """
    from raylt.reference import keys
    from raylt.schema import InputError
    from raylt.study.tracking import metric_table

    columns = "\n".join(metric_table.explained(word))
    if "/" in word and columns:
        return columns
    width = min(shutil.get_terminal_size().columns, 100)
    others = [*verbs, *(row.name for row in metric_table.TABLE), *metric_table.FIELDS]
    # A column may have the name of a key, too, as `epochs` has.
    entries: Sequence[keys.Entry] = ()
    with contextlib.suppress(*([InputError] if columns else [])):
        entries = keys.find(word, others)
    sentences = [textwrap.fill(line, width) for line in keys.about(word).splitlines()]
    return "\n\n".join(filter(None, [*sentences, keys.text(entries, width=width), columns]))


def _of_verb(context: click.Context, words: tuple[str, ...]) -> str:
    """The text of `raylt VERB --help`; without a verb, that of `raylt --help`.

    Raises:
        click.UsageError: there is no such verb.
    """
    for i, word in enumerate(words):
        group = context.command
        if not isinstance(group, click.Group):
            raise click.UsageError(
                f"{context.command_path} has no verbs of its own{_instead(words[i:])}", context
            )
        name, verb, _ = group.resolve_command(context, [word])
        assert verb is not None
        context = click.Context(verb, info_name=name, parent=context)
    return context.get_help()
