"""`raylt check`: look at a space before anything runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from raylt.cli import options, output

if TYPE_CHECKING:
    from raylt.cli.target import Target
    from raylt.settings import Settings
    from raylt.space import Space


@click.command(cls=options.Verb)
@click.option(
    "--schema",
    is_flag=False,
    flag_value="space",
    type=click.Choice(["space", "profile"]),
    help="Print the JSON Schema of space files, or of the profiles in clusters/, for editors",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Train a few steps on this machine at the corners of the space, and forecast the search",
)
@options.space_options
@options.cluster_option
@options.json_option
@click.pass_context
def check(
    context: click.Context,
    file: str | None,
    words: tuple[str, ...],
    schema: str | None,
    measure: bool,
    as_json: bool,
    target: Target,
) -> None:
    """Check a space file and show what a search of it would do.

    \b
    Examples:
      raylt check search_spaces/sdclr.yaml
      raylt check search_spaces/sdclr.yaml method.temperature=0.2
      raylt check search_spaces/sdclr.yaml --measure study.budget.cpu_hours=2
      raylt check --schema > space.schema.json
      raylt check --schema profile > profile.schema.json
    """
    if schema is not None:
        output.print_json(_schema(schema))
        return
    from raylt.space import overview, rival
    from raylt.study.record import text
    from raylt.study.run import look, plan

    space = options.load_space(file, words, [])
    plan.check_space(space)
    if not measure:
        # The sources of a warm start are there.
        runs = ("runs",) if space.sources else ()
        options.require_none_given(context, unless="--measure", apart=("data", *runs))
    # What lies on a cluster is looked at there.
    seen = look.look(space, target.settings.data) if target.is_here else look.ELSEWHERE
    warm = plan.warm_start(space, target.settings) if target.is_here else None
    forecast = _forecast(space, target.settings) if measure else None
    if as_json:
        more: dict[str, Any] = {} if forecast is None else {"forecast": forecast[0]}
        if warm is not None:
            more["warm_start"] = warm.fact
        images = {"images": asdict(seen)}
        output.print_json({**overview.overview(space, seen.counts.get("train")), **images, **more})
        return
    output.tell(overview.text(space, seen.counts.get("train")))
    if warm is not None:
        from raylt.study.warm_start import carried

        output.tell("\n" + "\n".join([*carried.lines(warm, space), ""]))
    for line in seen.lines():
        output.tell(line)
    known = filter(
        None, [plan.unbuilt(space), text.small_sample(seen.counts.get("validation", ()))]
    )
    for line in [*known, *rival.openness_of_both(space)]:
        output.tell(line)
    if forecast is not None:
        output.tell("\n" + "\n".join(forecast[1]))


def _schema(name: str) -> dict[str, Any]:
    from raylt.space.json_schema import flowing, json_schema

    if name == "profile":
        from raylt.settings import Profile

        return flowing(Profile.model_json_schema())
    return json_schema()


def _forecast(space: Space, settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """What a search of a space will take on this machine, for programs and for people."""
    from raylt.study.cost import local_forecast

    forecast = local_forecast.make(space, settings, say=lambda line: output.tell(line, err=True))
    return local_forecast.plain(forecast), local_forecast.lines(forecast, settings)
