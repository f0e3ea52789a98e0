"""`raylt init`: a space file for images of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@click.argument("source", required=False, type=options.PathType())
@click.option(
    "-o",
    "--out",
    type=options.PathType(),
    metavar="FILE",
    help="Space file to write; default: one called like the source, in this folder",
)
@click.option(
    "--method",
    type=click.Choice(["bcl", "sdclr"]),
    help="bcl learns from the labels, sdclr from the images alone; default: bcl",
)
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    metavar="H",
    help="What the search may take on this machine; default: 1",
)
@click.option(
    "--from",
    "bundled_name",
    metavar="NAME",
    help="Write a copy of a space file that comes with raylt instead (see `raylt spaces`)",
)
@click.option("-i", "--interactive", is_flag=True, help="Ask about each choice")
@click.option("--force", is_flag=True, help="Replace a file that is there")
@options.json_option
@click.pass_context
def init(
    context: click.Context,
    source: Path | None,
    out: Path | None,
    method: str | None,
    hours: float | None,
    bundled_name: str | None,
    interactive: bool,
    force: bool,
    as_json: bool,
    settings: Settings,
) -> None:
    """Look at your images and write a space file that runs as it is.

    SOURCE is a folder with a folder for each class, one with train, val and test inside, a CSV or
    TSV with path,label[,split], or a list with `path label` in each line.

    \b
    Examples:
      raylt init photos
      raylt init labels.csv -o mine.yaml --method sdclr --hours 0.5
      raylt init --from sdclr
    """
    if (source is None) == (bundled_name is None):
        raise click.UsageError("name your images, or a space with --from", context)
    if source is None:
        if method or hours or interactive:
            raise click.UsageError("--method, --hours and -i are for images of your own", context)
        path = _copied(str(bundled_name), out, force=force)
        values: dict[str, Any] = {"path": path}
    else:
        from raylt.study.start.start import start

        def say(line: str) -> None:
            output.tell(line, err=True)

        def ask(name: str, chosen: Any) -> Any:
            return click.prompt(name, default=chosen, type=type(chosen), err=True)

        asked: dict[str, Any] = {"ask": ask} if interactive else {}
        plan: dict[str, Any] = {"method": method or "bcl", "hours": hours or 1.0}
        if interactive:
            plan = {name: ask(name, value) for name, value in plan.items()}
        started = start(source, out, settings, force=force, say=say, **plan, **asked)
        values, path = started.plain(), started.path
        for line in started.lines():
            say(line)
    if as_json:
        output.print_json(values)
        return
    from raylt import printed

    output.echo(f"Written to {path}. Next:")
    # Without --measure the check has no use for other settings, and refuses them.
    checked = type(settings)(data=settings.data)
    output.echo(f"  {printed.command('check', [str(path)], checked)}")
    output.echo(f"  {printed.command('tune', ['--space', str(path)], settings)}")


def _copied(name: str, out: Path | None, *, force: bool) -> Path:
    """A copy of a bundled space, whose comments name it."""
    from raylt.cli import catalogue
    from raylt.space.file import bundled
    from raylt.study.start.start import require_free, write

    source = catalogue.file(name)
    path = out or Path(source.name)
    require_free(path, force=force)
    lines = source.read_text("utf-8").splitlines(keepends=True)
    # The schema does not go along.
    text = "".join(line for line in lines if not line.startswith(bundled.MODELINE))
    write(path, text.replace(f"search_spaces/{source.name}", str(path)), force=force)
    return path
