"""`raylt space`: compare space files."""

from __future__ import annotations

import click

from raylt.cli import common


@click.group(invoke_without_command=True)
@click.pass_context
def space(context: click.Context) -> None:
    """Compare space files.

    \b
    Example:
      raylt space diff runs/sdclr-digits/space.yaml wider.yaml
    """
    common.help_alone(context)


@space.command("diff")
@click.argument("before")
@click.argument("after")
def diff(before: str, after: str) -> None:
    """Show what differs between two space files, and what a study could not go on with.

    \b
    Example:
      raylt space diff runs/sdclr-digits/space.yaml wider.yaml
    """
    from raylt.space import load, revision

    click.echo(revision.text(revision.changes(load(before), load(after))))
