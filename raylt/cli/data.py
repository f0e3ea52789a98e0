"""`raylt data`: look at a dataset, or fetch it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from raylt.cli import common, options

_PAUSE = 0.2
"""Seconds between two lines of progress on a terminal."""
_MEGA = 1e6


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Look at the data of a space, or fetch a dataset.

    \b
    Examples:
      raylt data show search_spaces/sdclr.yaml
      raylt data get cifar100
    """
    common.help_alone(context)


@data.command()
@options.space_options
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The chart, a PNG file; data-NAME.png here unless given.",
)
@options.data_option
@options.json_option
def show(
    file: str | None, words: tuple[str, ...], out: Path | None, data: Path, as_json: bool
) -> None:
    """Show how many images each class and each part has, and draw the tail.

    \b
    Examples:
      raylt data show search_spaces/sdclr.yaml
      raylt data show search_spaces/bcl-cifar100-lt.yaml data.imbalance=50 -o tail.png
    """
    space = common.load(file, words, [])
    common.warn(space)
    from raylt.study.report import dataset

    found = dataset.facts(space, data)
    chart = out or Path(f"data-{found['data']['name']}.png")
    dataset.draw(found, chart)
    if as_json:
        common.print_json({**found, "chart": str(chart)})
    else:
        click.echo(f"{dataset.text(found)}\n\nThe chart is in {chart}")


@data.command()
@click.argument("name")
@click.option(
    "--from",
    "source",
    metavar="FILE_OR_URL",
    help="A copy of the published archive; its checksums decide.",
)
@options.data_option
@options.json_option
def get(name: str, source: str | None, data: Path, as_json: bool) -> None:
    """Fetch a dataset's published files and verify them; what is there already stays.

    \b
    Examples:
      raylt data get cifar100
      raylt data get cifar10 --from /mnt/mirror/cifar-10-python.tar.gz --data /scratch/data
    """
    from raylt import datasets

    line = _Line(name)
    try:
        folder = datasets.fetch(name, data, source=source, progress=line)
    finally:
        line.end()
    if as_json:
        common.print_json({"dataset": name, "folder": str(folder), "fetched": line.bytes})
    else:
        how = "fetched and verified" if line.bytes else "was there already and is verified"
        click.echo(f"{name} {how}: {folder}")


class _Line:
    """One line on the standard error that says how far a transfer is.

    On a terminal it is written over; anywhere else there is a line for each tenth.
    """

    def __init__(self, name: str) -> None:
        self.bytes = 0
        self._name = name
        self._terminal = sys.stderr.isatty()
        self._next = 0.0
        self._open = False

    def __call__(self, fetched: int, expected: int) -> None:
        self.bytes = fetched
        now: float = time.monotonic() if self._terminal else fetched
        done = bool(expected) and fetched >= expected
        if now < self._next and not done:
            return
        # Where nobody looks on, every tenth is told, or every 50 MB of an unknown size.
        self._next = now + (_PAUSE if self._terminal else (expected / 10 or 50 * _MEGA))
        share = f" of {expected / _MEGA:.1f} MB, {fetched / expected:.0%}" if expected else " MB"
        told = f"{self._name}: {fetched / _MEGA:.1f}{share}"
        if self._terminal:
            # Written over, with the rest of a longer line cleared.
            click.echo(f"\r{told}\x1b[K", nl=False, err=True)
            self._open = True
        else:
            click.echo(told, err=True)

    def end(self) -> None:
        """Leave the line, whatever is printed next."""
        if self._open:
            click.echo(err=True)
