"""How studies and trials are doing: status, logs."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@options.study_argument(required=False)
@options.json_option
def status(study: str | None, as_json: bool, settings: Settings) -> None:
    """Show the trials of a study, or all studies.

    Without STUDY the exit code is 3 where one of them cannot be read; the others are shown.

    \b
    Examples:
      raylt status
      raylt status sdclr-digits
    """
    from raylt.study.report import status as review

    runs, storage = settings.runs, settings.storage
    if study is None:
        values = review.studies(runs, storage)
        parts = review.studies_parts(values, runs)
        unreadable = any("reason" in state for state in values)
    else:
        unreadable = False
        values = review.study(options.study_name(study), runs, storage)
        parts = review.study_parts(values)
    if as_json:
        output.print_json(values)
    else:
        output.show(*parts)
    if unreadable:
        raise click.exceptions.Exit(3)


@click.command(cls=options.Verb)
@options.study_argument()
@click.argument("trial", type=click.IntRange(min=0))
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the trial ends")
def logs(study: str, trial: int, follow: bool, settings: Settings) -> None:
    """Show what a trial printed, and the traceback of its failure.

    \b
    Examples:
      raylt logs sdclr-digits 3
      raylt logs sdclr-digits 3 --follow
    """
    from raylt.study.record import lock
    from raylt.study.report import logs as printed

    with contextlib.closing(options.open_study(study, settings)) as record:
        if follow:
            printed.follow(
                record,
                trial,
                write=functools.partial(output.echo, nl=False),
                driven=lambda: lock.is_searching(record.folder, record.url),
            )
        else:
            output.show(*printed.parts(record, trial))
