"""`raylt ui`: MLflow's pages over all studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from raylt.cli import options

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@options.study_argument(required=False)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    default=5000,
    show_default=True,
    help="Port on this machine; other machines cannot reach it",
)
@click.option("--open", "browse", is_flag=True, help="Open the trials in a browser")
def ui(study: str | None, port: int, browse: bool, settings: Settings) -> None:
    """Open the MLflow UI on the trials of a study, until Ctrl-C.

    Prints a link to the trials, best first, and one that compares the best of them with the
    baseline; of the study that was written to last, unless another is named.

    \b
    Examples:
      raylt ui --open
      raylt ui sdclr-digits --runs runs --port 5001
    """
    from raylt.study.tracking import ui

    ui.serve(
        settings.runs,
        settings.tracking_uri,
        port,
        study=None if study is None else options.study_name(study),
        storage=settings.storage,
        browse=browse,
    )
