"""`raylt space`: make and compare space files."""

from __future__ import annotations

import click

from raylt.cli import common


@click.group(invoke_without_command=True)
@click.pass_context
def space(context: click.Context) -> None:
    """Make space files.

    \b
    Example:
      raylt space import sweep.yaml --base search_spaces/sdclr.yaml > my.yaml
    """
    common.help_alone(context)


@space.command("import")
@click.argument("file")
@click.option(
    "--base",
    metavar="FILE",
    required=True,
    help="A space file whose recipe says what the sweep leaves unsaid.",
)
@click.option(
    "--map",
    "pairs",
    metavar="NAME=PATH",
    multiple=True,
    help="What a name of the sweep is called here; NAME= leaves it out.",
)
def import_(file: str, base: str, pairs: tuple[str, ...]) -> None:
    """Turn a Weights & Biases or Hydra sweep into a space file.

    \b
    Example:
      raylt space import sweep.yaml --base search_spaces/sdclr.yaml \\
        --map tau=method.temperature --map num_workers= > my.yaml
    """
    from raylt.space import sweeps
    from raylt.space.file import document

    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"must look like NAME=PATH, but got {pair!r}")
    renamed = dict(pair.split("=", 1) for pair in pairs)
    text = sweeps.convert(document.read(file), document.read(base), renamed)
    click.echo(text, nl=False)


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
