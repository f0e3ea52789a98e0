"""`raylt table`: the results of studies as a table for a paper."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.settings import Settings


@click.command(cls=options.Verb)
@options.study_argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "latex", "csv"]),
    default="markdown",
    show_default=True,
    help="LaTeX needs the packages booktabs and tabularx",
)
@click.option(
    "--on",
    "images",
    type=click.Choice(["test", "validation"]),
    help="Images of the scores; default: test, once they were opened",
)
@click.option("--no-ablations", is_flag=True, help="Leave out what `raylt ablate` trained")
@click.option("--bib", is_flag=True, help="Print the BibTeX entries of all methods and data")
@options.json_option
def table(
    studies: tuple[str, ...],
    form: Literal["markdown", "latex", "csv"],
    images: Literal["test", "validation"] | None,
    no_ablations: bool,
    bib: bool,
    as_json: bool,
    settings: Settings,
) -> None:
    """Make a table for a paper: settings, means and deviations.

    \b
    Examples:
      raylt table sdclr-digits
      raylt table sdclr-digits bcl-digits --format latex > results.tex
      raylt table sdclr-digits bcl-digits --bib > results.bib
    """
    from raylt.study.table import cite, formats, rows

    with contextlib.ExitStack() as stack:
        records = [
            stack.enter_context(contextlib.closing(options.open_study(study, settings)))
            for study in dict.fromkeys(studies)
        ]
        if bib:
            # What was not trained over fresh seeds is cited, too.
            entries = cite.bibliography([record.space.fixed for record in records])
            output.print_json({"bib": entries}) if as_json else output.echo(entries)
            return
        result = rows.table(records, images, ablations=not no_ablations)
    for notice in result.notices:
        output.tell(f"note: {notice}", err=True)
    if as_json:
        output.print_json(asdict(result))
        return
    write = {
        "markdown": formats.markdown,
        "latex": formats.latex,
        "csv": formats.comma_separated,
    }
    output.echo(write[form](result))
