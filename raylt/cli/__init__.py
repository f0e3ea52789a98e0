"""The command line: parse, call, print; heavy imports stand inside the verb that needs them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click

from raylt.cli import common, data, exits, look, options, spaces

if TYPE_CHECKING:
    from raylt.space import Space
    from raylt.study.run.result import Result
    from raylt.study.run.session import Settings

_WIDE = 160
"""Columns of a table that goes into a file or a pipe."""


def main() -> NoReturn:
    """The program `raylt`."""
    exits.program(run)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    return exits.run(commands, arguments)


class _Verbs(click.Group):
    """The verbs in the order of their use, with a "did you mean"."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.commands, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(
                f"unknown verb {args[0]!r}{meant}; known: {', '.join(self.commands)}", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="raylt", message="raylt %(version)s")
@click.pass_context
def commands(context: click.Context) -> None:
    """Search and scale long-tailed contrastive learning.

    \b
    A first search, minutes on a laptop:
      raylt tune --space search_spaces/sdclr.yaml
    """
    common.help_alone(context)


@click.command()
@options.space_options
@click.option("-n", "--trials", metavar="N", help="Trials of the study: study.trials=N.")
@click.option("--study", metavar="NAME", help="Name of the study: study.name=NAME.")
@click.option("--versus", metavar="METHOD", help="Search this method alike: study.versus=METHOD.")
@options.run_options
def tune(
    file: str | None,
    words: tuple[str, ...],
    trials: str | None,
    study: str | None,
    versus: str | None,
    **options: Any,
) -> None:
    """Search a space: draw, train, stop the weak early, rank.

    \b
    Examples:
      raylt tune --space search_spaces/sdclr.yaml
      raylt tune -s search_spaces/bcl.yaml --trials 30 --study bcl-long optimizer.lr=0.1
      raylt tune -s search_spaces/bcl.yaml 'method.tau={low: 0.5, high: 1.5}'
      raylt tune -s search_spaces/sdclr.yaml --versus simclr
    """
    overrides = [f"study.trials={trials}"] if trials is not None else []
    overrides += [f"study.name={json.dumps(study)}"] if study is not None else []
    overrides += [f"study.versus={json.dumps(versus)}"] if versus is not None else []
    space = common.load(file, words, overrides)
    common.warn(space)
    _require_rival(space)
    _search(space, **options)


@click.command()
@options.space_options
@click.option("--study", metavar="NAME", help="Name of the study: study.name=NAME.")
@click.option(
    "--profile",
    is_flag=True,
    help="Train two epochs in this process instead, show what their time went into, "
    "and write a trace; no study is begun.",
)
@options.run_options
def train(
    file: str | None, words: tuple[str, ...], study: str | None, profile: bool, **options: Any
) -> None:
    """Train one model: a space with nothing left open.

    \b
    Examples:
      raylt train -s search_spaces/sdclr.yaml --study paper \\
        method.prune=0.9 method.temperature=0.2 optimizer.lr=0.5
      raylt train -s paper.yaml --profile
    """
    overrides = [f"study.name={json.dumps(study)}"] if study is not None else []
    space = common.load(file, words, [*overrides, "study.trials=1", "study.versus=null"])
    if space.leaves:
        from raylt.schema import InputError

        point = space.baseline_point or {each.path: each.ends[0] for each in space.leaves}
        example = " ".join(f"{path}={value}" for path, value in point.items())
        raise InputError(
            f"{space.source}: every leaf must have a value to train one model, but "
            f"{', '.join(each.path for each in space.leaves)} are left open; add {example}, or "
            f"search with `raylt tune`"
        )
    if profile:
        _profile(space, _settings(**options), options["as_json"])
        return
    _search(space, **options)


@click.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of space files, for editors.")
@click.option(
    "--measure",
    is_flag=True,
    help="Train a few steps here at the corners of the space, and say what the search will take.",
)
@options.space_options
@options.machine_options
@options.json_option
def check(
    file: str | None,
    words: tuple[str, ...],
    schema: bool,
    measure: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Check a space file and show what a search would do; starts nothing.

    \b
    Examples:
      raylt check search_spaces/sdclr.yaml
      raylt check search_spaces/sdclr.yaml method.temperature=0.2
      raylt check search_spaces/sdclr.yaml --measure study.budget.cpu_hours=2
      raylt check --schema > space.schema.json
    """
    if schema:
        from raylt.space.formats import json_schema

        common.print_json(json_schema())
        return
    from raylt.space import overview, strategy

    space = common.load(file, words, [])
    common.warn(space)
    strategy.require_installed(space.study.sampler)
    _require_rival(space)
    if not measure:
        common.require_no_options(options, unless="--measure")
    if as_json:
        forecast = {"forecast": _forecast(space, **options)[0]} if measure else {}
        common.print_json({**overview.overview(space), **forecast})
        return
    click.echo(overview.text(space))
    if measure:
        click.echo("\n" + "\n".join(_forecast(space, **options)[1]))


def _forecast(space: Space, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """What a search of a space will take on this machine, for programs and for people."""
    from raylt.study.cost import measure as foresee

    settings = _settings(quiet=True, **options)
    found = foresee.measured(space, settings, say=lambda line: click.echo(line, err=True))
    return foresee.plain(found), foresee.lines(found, settings)


@click.command()
@click.argument("study")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-n", "--trials", metavar="N", help="Trials of the study, or +N for N more.")
@click.option(
    "-s",
    "--space",
    "file",
    metavar="FILE",
    help="Go on with this space: wider ranges, more choices.",
)
@click.option("--retry-failed", is_flag=True, help="Run the failed trials again.")
@options.run_options
def resume(
    study: str,
    words: tuple[str, ...],
    trials: str | None,
    file: str | None,
    retry_failed: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Go on with a study that was interrupted or killed, or is to be larger.

    Nothing that has finished runs twice.

    \b
    Examples:
      raylt resume sdclr-digits
      raylt resume sdclr-digits --trials +20
      raylt resume sdclr-digits study.budget.wall_clock=8h
      raylt resume sdclr-digits --space wider.yaml
    """
    sent = ["resume", common.study_name(study), *(["--retry-failed"] if retry_failed else [])]
    sent += ["--trials", trials] if trials is not None else []
    wider = None if file is None else common.load(file, words, [])
    sent += words if wider is None else ["--space", "space.yaml"]
    _send_elsewhere(sent, label=study, space=wider and wider.text, as_json=as_json, **options)
    from raylt import space
    from raylt.study.record import studies
    from raylt.study.run import driver

    settings = _settings(**options)
    if wider is None and words:
        with contextlib.closing(
            studies.open_study(study, settings.runs, settings.storage)
        ) as record:
            wider = space.stored(record.folder / "space.yaml", words)
    found = driver.resume(study, settings, retry_failed=retry_failed, trials=trials, space=wider)
    _show(found, settings, as_json)


@click.command()
@click.argument("study")
@click.option(
    "--top", type=click.IntRange(min=1), help="Winners to confirm; study.confirm.top unless given."
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="Seeds of each setting; study.confirm.seeds unless given.",
)
@click.option(
    "--retrain",
    type=click.Choice(["split", "pool"]),
    help="Train on the images of the search, or on the validation images too; "
    "study.confirm.retrain unless given.",
)
@click.option("--no-race", is_flag=True, help="Run hopeless candidates to the end, too.")
@click.option("--retry-failed", is_flag=True, help="Run the failed runs again.")
@options.run_options
def confirm(
    study: str,
    top: int | None,
    seeds: int | None,
    retrain: Literal["split", "pool"] | None,
    no_race: bool,
    retry_failed: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Is it really better? Run winners and baseline over fresh seeds, and open the test set once.

    \b
    Examples:
      raylt confirm sdclr-digits
      raylt confirm sdclr-digits --top 1 --seeds 8
      raylt confirm sdclr-cifar100-lt --retrain pool
    """
    words = ["confirm", common.study_name(study)]
    words += ["--top", str(top)] if top is not None else []
    words += ["--seeds", str(seeds)] if seeds is not None else []
    words += ["--retrain", retrain] if retrain is not None else []
    words += ["--no-race"] if no_race else []
    words += ["--retry-failed"] if retry_failed else []
    _send_elsewhere(words, label=study, space=None, as_json=as_json, **options)
    from dataclasses import asdict

    from raylt.study.confirm import candidates, confirm
    from raylt.study.verdict import confirmation

    chosen = candidates.Options(
        top=top, seeds=seeds, race=not no_race, retry_failed=retry_failed, retrain=retrain
    )
    settings = _settings(**options)
    found = confirm.confirm(study, settings, chosen)
    if as_json:
        common.print_json({**asdict(found), "exit_code": found.exit_code})
    else:
        click.echo(confirmation.text(found))
    raise click.exceptions.Exit(found.exit_code)


def _require_rival(space: Space) -> None:
    """Refuse a `study.versus` that cannot be searched, before anything starts."""
    if space.study.versus is not None:
        from raylt.space.rival import rival

        rival(space)


def _search(space: Space, *, as_json: bool, **options: Any) -> None:
    words = [str(click.get_current_context().info_name), "--space", "space.yaml"]
    name = space.study.name
    _send_elsewhere(words, label=name, space=space.text, as_json=as_json, **options)
    from raylt.study.run import begin

    settings = _settings(**options)
    _show(begin.begin(space, settings), settings, as_json)


def _profile(space: Space, settings: Settings, as_json: bool) -> None:
    """Show where the time of a step of a space without open leaves goes."""
    from dataclasses import asdict

    from raylt.schema import InputError
    from raylt.study.resources import environment

    if settings.workers > 1 or settings.address is not None:
        raise InputError(
            "--profile watches one process on this machine, but --workers or --address asks for "
            "more; leave them out"
        )
    environment.prepare_ray(threads=settings.cpus_per_worker, alone=True)
    from raylt.trial.cost import profile

    trace = settings.runs / f"{space.study.name}.profile.json"
    found = profile.profile(space.at({}), root=settings.root, trace=trace, epochs=1, device=None)
    if as_json:
        common.print_json(asdict(found))
    else:
        click.echo(profile.text(found))


def _send_elsewhere(
    words: Sequence[str], *, label: str, space: str | None, as_json: bool, **options: Any
) -> None:
    """Leave with the command's exit code if it is to run on another cluster."""
    from raylt.cli import target

    chosen = target.choose(**target.names(options))
    if not chosen.elsewhere:
        return
    flags = [flag for flag, on in (("--json", as_json), ("--quiet", options["quiet"])) if on]
    sent = target.job(chosen, [*words, *flags], label=label, space=space, ship=options["ship"])
    raise click.exceptions.Exit(target.send(chosen, sent, wait=options["wait"]))


def _settings(*, quiet: bool, **options: Any) -> Settings:
    from raylt.cli import target

    command = click.get_current_context().find_object(str) or ""
    return target.settings(target.choose(**target.names(options)), quiet=quiet, command=command)


def _show(result: Result, settings: Settings, as_json: bool) -> NoReturn:
    """Print the end of a search and that of its rival, and leave with the exit code."""
    from dataclasses import asdict

    from raylt.study.record import studies
    from raylt.study.report import versus
    from raylt.study.run.rival import follow

    if not as_json:
        _summarise(result)
    rival = follow(result, settings)
    compared = None
    if rival is not None:
        names = (result.name, rival.name)
        compared = versus.comparison(
            *(studies.open_study(name, settings.runs, settings.storage) for name in names)
        )
    code = result.exit_code if rival is None else max(result.exit_code, rival.exit_code)
    if as_json:
        more = {"versus": {"result": asdict(rival), **compared}} if rival and compared else {}
        common.print_json({**asdict(result), "exit_code": code, **more})
    elif rival and compared:
        _summarise(rival)
        click.echo("\n" + versus.text(compared))
    raise click.exceptions.Exit(code)


def _summarise(result: Result) -> None:
    from rich.console import Console

    from raylt.study.run import progress

    # Where nobody looks on there is no edge of a screen to keep to.
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    with console.capture() as captured:
        progress.summary(result, console)
    click.echo(captured.get(), nl=False)


# The order of the help.
for verb in (
    tune,
    train,
    check,
    spaces.space,
    data.data,
    resume,
    look.logs,
    look.best,
    confirm,
    look.status,
    look.doctor,
    look.report,
    look.compare,
    look.export,
    look.ui,
):
    commands.add_command(verb)
