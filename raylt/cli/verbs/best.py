"""The winner of a study, and its model: best, export."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@options.study_argument()
@options.json_option
def best(study: str, as_json: bool, settings: Settings) -> None:
    """Show the best trial beside the baseline, and how to repeat it.

    \b
    Example:
      raylt best sdclr-digits --json
    """
    from raylt.study.report import best as report

    record = options.open_study(study, settings)
    if as_json:
        output.print_json(report.best(record))
    else:
        output.show(*report.best_text(record).splitlines())


@click.command(cls=options.Verb)
@options.study_argument()
@click.argument("folder", metavar="DIR", type=options.PathType())
@click.option("--trial", type=int, metavar="N", help="Trial to export; default: the best one")
@click.option(
    "--register",
    "name",
    metavar="NAME",
    help="Also log the model to the trial's MLflow run and register it under this name",
)
def export(
    study: str, folder: Path, trial: int | None, name: str | None, settings: Settings
) -> None:
    """Export a trained model and a program that needs only torch.

    The folder has the weights, the recipe, and `load.py`, which names what is on a picture.

    \b
    Examples:
      raylt export sdclr-digits models/digits
      raylt export sdclr-digits models/digits --trial 3 --register digits-sdclr
    """
    from raylt.study import export as exporting
    from raylt.study.record import provenance
    from raylt.study.tracking import store

    record = options.open_study(study, settings)
    settings = provenance.with_data(record, settings)
    chosen = exporting.chosen(record, trial)
    for path in exporting.export(record, chosen, folder, root=settings.data).values():
        output.echo(path)
    loader = shlex.quote(str(folder / "load.py"))
    output.echo(f"Name what is on a picture: python {loader} photo.jpg", err=True)
    if name is not None:
        uri = settings.tracking_uri or store.default_uri(settings.runs)
        version = exporting.register(record, chosen, root=settings.data, uri=uri, name=name)
        output.echo(f"registered as {name}, version {version}")
