"""`raylt ablate`: which of the changes from the baseline to the winner matter."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.cli.target import Target
    from raylt.space.plan import Budget


@click.command(cls=options.Verb)
@options.study_argument()
@click.option("--trial", type=int, metavar="N", help="Trial to ablate; default: the best one")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    help="Seeds for each setting; default: study.confirm.seeds, and as many as a verdict needs",
)
@click.option("--test", is_flag=True, help="Judge on the test images, and count their opening")
@click.option("--no-path", is_flag=True, help="Do not train the greedy path")
@click.option("--no-race", is_flag=True, help="Do not drop changes early that do not help")
@click.option("--retry-failed", is_flag=True, help="Run failed runs again")
@click.option(
    "--budget",
    "budgets",
    metavar="KEY=VALUE",
    multiple=True,
    help="Stop once the runs of confirm and ablate have used that much together: gpu_hours, "
    "cpu_hours or wall_clock, as in study.budget",
)
@options.sending_options
@options.json_option
def ablate(
    study: str,
    trial: int | None,
    seeds: int | None,
    test: bool,
    no_path: bool,
    no_race: bool,
    retry_failed: bool,
    budgets: tuple[str, ...],
    as_json: bool,
    target: Target,
) -> None:
    """Which change mattered? Set each back alone, over fresh seeds.

    Each value by which the winner differs from the baseline is set back in the winner, and put
    into the baseline, by itself.

    The runs of `raylt confirm` count: nothing is trained twice.

    \b
    Examples:
      raylt ablate sdclr-digits
      raylt ablate sdclr-digits --trial 7 --seeds 10 --test
      raylt ablate sdclr-digits --budget cpu_hours=3
    """
    limits = _budget(budgets)
    words = options.given("trial", "seeds", "test", "no_path", "no_race")
    more = options.given("retry_failed", "budgets")
    sent = ["ablate", options.study_name(study), *words, *more]
    target.send_unless_here(sent, label=study, as_json=as_json)
    from raylt.study.ablate import ablate as asking
    from raylt.study.verdict import ablation

    asked = asking.Options(
        trial=trial,
        seeds=seeds,
        race=not no_race,
        test=test,
        path=not no_path,
        retry_failed=retry_failed,
        budget=limits,
        words=tuple(words),
    )
    result = asking.ablate(study, target.settings, asked)
    if as_json:
        output.print_json({**asdict(result), "exit_code": result.exit_code})
    else:
        output.show(*ablation.text(result, again=target.settings.command).splitlines())
    raise click.exceptions.Exit(result.exit_code)


def _budget(limits: tuple[str, ...]) -> Budget:
    """What `--budget` allows.

    Raises:
        InputError: that is no budget.
    """
    from pydantic import ValidationError

    from raylt.schema import InputError
    from raylt.space.file import explain
    from raylt.space.plan import Budget

    pairs = (limit.partition("=") for limit in limits)
    try:
        return Budget.model_validate_strings({key: value for key, _, value in pairs})
    except ValidationError as error:
        loc, sentence = next(iter(explain.sentences(error, Budget)))
        raise InputError(f"--budget: {explain.dotted(loc)}: {sentence}") from None
