"""What studies found, for reading and for comparing: report, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@options.study_argument()
@click.option(
    "-o",
    "--output",
    "file",
    type=options.PathType(dir_okay=False),
    help="HTML file to write; default: report.html in the study's folder",
)
def report(study: str, file: Path | None, settings: Settings) -> None:
    """Write a report on one page: verdict, charts, ranking, costs.

    \b
    Examples:
      raylt report sdclr-digits
      raylt report sdclr-digits -o paper/search.html
    """
    from raylt.study.report.page import write

    record = options.open_study(study, settings)
    output.echo(write(record, file or record.folder / "report.html"))


@click.command(cls=options.Verb)
@options.study_argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option(
    "--metric", metavar="NAME", help="Metric to rank by; default: the first study's objective"
)
@click.option("--force", is_flag=True, help="Rank even if data or evaluation differ")
@click.option(
    "--lines",
    type=click.IntRange(min=1),
    metavar="N",
    default=30,
    show_default=True,
    help="Trials to show",
)
@options.json_option
def compare(
    studies: tuple[str, ...],
    metric: str | None,
    force: bool,
    lines: int,
    as_json: bool,
    settings: Settings,
) -> None:
    """Rank the trials of several studies that used the same data.

    \b
    Example:
      raylt compare sdclr-digits bcl-digits --metric val/few
    """
    from raylt.study.report import leaderboard

    records = [options.open_study(study, settings) for study in studies]
    board = leaderboard.compare(records, metric=metric, force=force)
    for warning in board["warnings"]:
        output.tell(f"warning: {warning}", err=True)
    if as_json:
        output.print_json(board)
    else:
        output.show(*leaderboard.parts(board, lines=lines))
