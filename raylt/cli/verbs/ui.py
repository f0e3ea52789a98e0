"""`raylt ui`: MLflow's pages over all studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from raylt.cli import options

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Port on this machine; other machines cannot reach it",
)
def ui(port: int, settings: Settings) -> None:
    """Open the MLflow UI over all studies, until Ctrl-C.

    \b
    Example:
      raylt ui --runs runs --port 5001
    """
    from raylt.study.tracking import ui

    ui.serve(settings.runs, settings.tracking_uri, port)
