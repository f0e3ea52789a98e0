"""`raylt confirm`: train the winners again with fresh seeds, and test them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.cli.target import Target


@click.command(cls=options.Verb)
@options.study_argument()
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="Winners to confirm; default: study.confirm.top",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Seeds for each setting; default: study.confirm.seeds",
)
@click.option(
    "--retrain",
    type=click.Choice(["split", "pool"]),
    help="Train on the training images of the search (split), or on its validation images too "
    "(pool); default: study.confirm.retrain",
)
@click.option("--no-race", is_flag=True, help="Do not drop losing candidates early")
@click.option("--retry-failed", is_flag=True, help="Run failed runs again")
@options.sending_options
@options.json_option
def confirm(
    study: str,
    top: int | None,
    seeds: int | None,
    retrain: Literal["split", "pool"] | None,
    no_race: bool,
    retry_failed: bool,
    as_json: bool,
    target: Target,
) -> None:
    """Train winners and baseline with fresh seeds, and test them.

    Is the winner really better, or was it lucky? The test images are opened once, at the end.

    \b
    Examples:
      raylt confirm sdclr-digits
      raylt confirm sdclr-digits --top 1 --seeds 8
      raylt confirm sdclr-cifar100-lt --retrain pool
    """
    words = options.given("top", "seeds", "retrain", "no_race")
    sent = ["confirm", options.study_name(study), *words, *options.given("retry_failed")]
    target.send_unless_here(sent, label=study, as_json=as_json)
    from raylt.study.confirm import candidates
    from raylt.study.confirm.confirm import confirm
    from raylt.study.verdict import confirmation

    chosen = candidates.Options(
        top=top,
        seeds=seeds,
        race=not no_race,
        retry_failed=retry_failed,
        retrain=retrain,
        words=tuple(words),
    )
    verdict = confirm(study, target.settings, chosen)
    if as_json:
        output.print_json({**asdict(verdict), "exit_code": verdict.exit_code})
    else:
        output.show(*confirmation.text(verdict, again=target.settings.command).splitlines())
    raise click.exceptions.Exit(verdict.exit_code)
