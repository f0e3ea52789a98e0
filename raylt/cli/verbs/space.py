"""Space files: space, spaces."""

from __future__ import annotations

import click

from raylt.cli import complete, options, output


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
@click.argument("before", shell_complete=complete.spaces)
@click.argument("after", shell_complete=complete.spaces)
def diff(before: str, after: str) -> None:
    """Show how two space files differ.

    A study cannot continue with every change; those are marked, with the reason.

    \b
    Example:
      raylt space diff runs/sdclr-digits/space.yaml wider.yaml
    """
    from raylt.space import load, revision
    from raylt.study.report.columns import Column, Columns

    changes = revision.changes(load(before), load(after))
    if not changes:
        output.echo("the spaces do not differ")
        return
    # The most frequent reason is long: it stands once, below the table.
    refused = ["fixed" if c.refusal == revision.FIXED else c.refusal for c in changes]
    note = ["", f"fixed: {revision.FIXED}"] if "fixed" in refused else []
    # The paths of a baseline's values are too long for a line.
    paths = [change.path.replace(".values.", ".values.\n") for change in changes]
    columns = [
        Column(head="key", cells=paths, right=False),
        Column(head="before", cells=[c.before for c in changes], right=False, wraps=True),
        Column(head="after", cells=[c.after for c in changes], right=False, wraps=True),
        Column(head="resume refuses it, because", cells=refused, right=False, wraps=True),
    ]
    output.show(Columns(columns if any(refused) else columns[:-1]), *note)


@click.command
@click.argument("name", required=False, shell_complete=complete.spaces)
@options.json_option
def spaces(name: str | None, as_json: bool) -> None:
    """List the space files and profiles that come with raylt.

    With NAME, show that space file.

    \b
    Examples:
      raylt spaces
      raylt spaces sdclr
      raylt tune --space sdclr --cluster laptop
    """
    from raylt.cli import catalogue

    values = catalogue.spaces(name)
    if as_json:
        output.print_json(values)
    elif name is not None:
        output.echo(catalogue.file(name).read_text("utf-8"), nl=False)
        output.echo(f"What it means: raylt check {name}", err=True)
    else:
        output.tell(catalogue.text(values))
