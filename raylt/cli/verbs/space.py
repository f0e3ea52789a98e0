"""`raylt space`: compare space files."""

from __future__ import annotations

import click

from raylt.cli import output


@click.group(invoke_without_command=True)
@click.pass_context
def space(context: click.Context) -> None:
    """Compare space files.

    \b
    Example:
      raylt space diff runs/sdclr-digits/space.yaml wider.yaml
    """
    output.help_without_verb(context)


@space.command("diff")
@click.argument("before")
@click.argument("after")
def diff(before: str, after: str) -> None:
    """Show how two space files differ, and which changes a study cannot continue with.

    \b
    Example:
      raylt space diff runs/sdclr-digits/space.yaml wider.yaml
    """
    from raylt.space import load, revision

    click.echo(revision.text(revision.changes(load(before), load(after))))
