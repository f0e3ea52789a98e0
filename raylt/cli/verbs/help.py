"""`raylt help`: what a verb does."""

from __future__ import annotations

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
@click.argument("words", nargs=-1, metavar="[VERB]...", shell_complete=_verbs)
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Show what a verb does, with its options and an example.

    \b
    Examples:
      raylt help tune
      raylt help space diff
    """
    output.echo(_of_verb(context.find_root(), words))


def _of_verb(context: click.Context, words: tuple[str, ...]) -> str:
    """The text of `raylt VERB --help`; without a verb, that of `raylt --help`.

    Raises:
        click.UsageError: there is no such verb.
    """
    for word in words:
        group = context.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"{context.command_path} has no verbs of its own", context)
        name, verb, _ = group.resolve_command(context, [word])
        assert verb is not None
        context = click.Context(verb, info_name=name, parent=context)
    return context.get_help()
