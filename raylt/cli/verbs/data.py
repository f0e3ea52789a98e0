"""`raylt data`: show a dataset, or download it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.settings import Settings

_MEGA = 1e6


@click.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """Show the data of a space, or download a dataset.

    \b
    Examples:
      raylt data show search_spaces/sdclr.yaml
      raylt data get cifar100
    """
    output.help_without_verb(context)


@data.command(cls=options.Verb)
@options.space_options
@click.option(
    "-o",
    "--out",
    type=options.PathType(dir_okay=False),
    metavar="FILE",
    help="PNG file to draw the tail into",
)
@options.json_option
def show(
    file: str | None,
    words: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    settings: Settings,
) -> None:
    """Show how many images each class and each split has.

    \b
    Examples:
      raylt data show search_spaces/sdclr.yaml
      raylt data show search_spaces/bcl-cifar100-lt.yaml data.imbalance=50 -o tail.png
    """
    space = options.load_space(file, words, [])
    from raylt.study.report import dataset

    facts = dataset.facts(space, settings.data)
    if out is not None:
        dataset.draw(facts, out)
    if as_json:
        output.print_json({**facts, "chart": None if out is None else str(out)})
    else:
        drawn = "" if out is None else f"\n\nThe chart is in {out}"
        output.tell(f"{dataset.text(facts)}{drawn}")


@data.command(cls=options.Verb)
@click.argument("name")
@click.option(
    "--from",
    "source",
    metavar="FILE_OR_URL",
    help="Copy of the published archive to use instead; its checksums must agree",
)
@options.json_option
def get(name: str, source: str | None, as_json: bool, settings: Settings) -> None:
    """Download a dataset's published files, and verify them.

    Files that are there already are kept.

    \b
    Examples:
      raylt data get cifar100
      raylt data get cifar10 --from /mnt/mirror/cifar-10-python.tar.gz --data /scratch/data
    """
    from raylt import datasets

    progress = _Progress(name)
    folder = datasets.fetch(name, settings.data, source=source, progress=progress)
    if as_json:
        output.print_json({"dataset": name, "folder": str(folder), "fetched": progress.bytes})
    else:
        how = "fetched and verified" if progress.bytes else "was there already and is verified"
        output.echo(f"{name} {how}: {folder}")


class _Progress:
    """The progress of a download on standard error: a line for each tenth of it, or for each 50 MB
    where the size is unknown."""

    def __init__(self, name: str) -> None:
        self.bytes = 0
        self._name = name
        self._next = 0.0

    def __call__(self, fetched: int, expected: int) -> None:
        self.bytes = fetched
        if fetched < self._next and not 0 < expected <= fetched:
            return
        self._next = fetched + (expected / 10 or 50 * _MEGA)
        share = f" of {expected / _MEGA:.1f} MB, {fetched / expected:.0%}" if expected else " MB"
        output.echo(f"{self._name}: {fetched / _MEGA:.1f}{share}", err=True)
