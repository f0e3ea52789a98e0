"""The command line: parse, call, print; heavy imports stand inside the verb that needs them."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from raylt import exits, options

if TYPE_CHECKING:
    from raylt.space import Space
    from raylt.study.driver import Settings
    from raylt.study.result import Result

_WIDE = 160
"""Columns of a table that goes into a file or a pipe."""


def main() -> NoReturn:
    """The program `raylt`."""
    exits.leave(run(sys.argv[1:]))


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
    _help_alone(context)


@commands.command()
@options.space_options
@click.option("-n", "--trials", metavar="N", help="Trials of the study: study.trials=N.")
@click.option("--study", metavar="NAME", help="Name of the study: study.name=NAME.")
@click.option("--versus", metavar="METHOD", help="Search this method alike: study.versus=METHOD.")
@options.run_options
def tune(
    file: str | None, words: tuple[str, ...], trials: str | None, study: str | None,
    versus: str | None, **options: Any,
) -> None:  # fmt: skip
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
    space = _load(file, words, overrides)
    _warn(space)
    _demand_rival(space)
    _search(space, **options)


@commands.command()
@options.space_options
@click.option("--study", metavar="NAME", help="Name of the study: study.name=NAME.")
@click.option("--profile", is_flag=True,
              help="Train two epochs in this process instead, show what their time went into, "
                   "and write a trace; no study is begun.")  # fmt: skip
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
    space = _load(file, words, [*overrides, "study.trials=1", "study.versus=null"])
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


@commands.command()
@click.option("--schema", is_flag=True, help="Print the JSON Schema of space files, for editors.")
@options.space_options
@options.json_option
def check(file: str | None, words: tuple[str, ...], schema: bool, as_json: bool) -> None:
    """Check a space file and show what a search would do; starts nothing.

    \b
    Examples:
      raylt check search_spaces/sdclr.yaml
      raylt check search_spaces/sdclr.yaml method.temperature=0.2
      raylt check --schema > space.schema.json
    """
    if schema:
        from raylt.formats import json_schema

        _print_json(json_schema())
        return
    from raylt import overview

    space = _load(file, words, [])
    _warn(space)
    _demand_rival(space)
    if as_json:
        _print_json(overview.overview(space))
    else:
        click.echo(overview.text(space))


@commands.group(invoke_without_command=True)
@click.pass_context
def space(context: click.Context) -> None:
    """Make space files.

    \b
    Example:
      raylt space import sweep.yaml --base search_spaces/sdclr.yaml > my.yaml
    """
    _help_alone(context)


@space.command("import")
@click.argument("file")
@click.option("--base", metavar="FILE", required=True,
              help="A space file whose recipe says what the sweep leaves unsaid.")  # fmt: skip
@click.option("--map", "pairs", metavar="NAME=PATH", multiple=True,
              help="What a name of the sweep is called here; NAME= leaves it out.")  # fmt: skip
def import_(file: str, base: str, pairs: tuple[str, ...]) -> None:
    """Turn a Weights & Biases or Hydra sweep into a space file.

    \b
    Example:
      raylt space import sweep.yaml --base search_spaces/sdclr.yaml \\
        --map tau=method.temperature --map num_workers= > my.yaml
    """
    from raylt import document, sweeps

    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"must look like NAME=PATH, but got {pair!r}")
    renamed = dict(pair.split("=", 1) for pair in pairs)
    text = sweeps.convert(document.read(file), document.read(base), renamed)
    click.echo(text, nl=False)


@space.command("diff")
@click.argument("before")
@click.argument("after")
def diff(before: str, after: str) -> None:
    """Show what differs between two space files, and what a study could not go on with.

    \b
    Example:
      raylt space diff runs/sdclr-digits/space.yaml wider.yaml
    """
    from raylt import revision
    from raylt.space import load

    click.echo(revision.text(revision.changes(load(before), load(after))))


@commands.command()
@click.argument("study")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-n", "--trials", metavar="N", help="Trials of the study, or +N for N more.")
@click.option("-s", "--space", "file", metavar="FILE",
              help="Go on with this space: wider ranges, more choices.")  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Run the failed trials again.")
@options.run_options
def resume(
    study: str, words: tuple[str, ...], trials: str | None, file: str | None, retry_failed: bool,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Go on with a study that was interrupted or killed, or is to be larger.

    Nothing that has finished runs twice.

    \b
    Examples:
      raylt resume sdclr-digits
      raylt resume sdclr-digits --trials +20
      raylt resume sdclr-digits study.budget.wall_clock=8h
      raylt resume sdclr-digits --space wider.yaml
    """
    sent = ["resume", _name(study), *(["--retry-failed"] if retry_failed else [])]
    sent += ["--trials", trials] if trials is not None else []
    wider = None if file is None else _load(file, words, [])
    sent += words if wider is None else ["--space", "space.yaml"]
    _send_elsewhere(
        sent, label=study, space=wider and wider.text, as_json=as_json, **options
    )  # fmt: skip
    from raylt.study import driver

    settings = _settings(**options)
    if wider is None and words:
        with contextlib.closing(driver.open_study(study, settings.runs)) as record:
            wider = _load(str(record.folder / "space.yaml"), words, [])
    found = driver.resume(
        study, settings, retry_failed=retry_failed, trials=trials, space=wider
    )  # fmt: skip
    _show(found, settings, as_json)


@commands.command()
@click.argument("study")
@click.argument("trial", type=click.IntRange(min=0))
@click.option("-f", "--follow", is_flag=True, help="Go on showing it until the trial ends.")
@options.runs_option
def logs(study: str, trial: int, follow: bool, runs: Path) -> None:
    """Show what a trial printed, and the traceback of its failure.

    \b
    Examples:
      raylt logs sdclr-digits 3
      raylt logs sdclr-digits 3 --follow
    """
    import functools

    from raylt.study import driver
    from raylt.study import logs as printed

    with contextlib.closing(driver.open_study(_name(study), runs)) as record:
        if follow:
            printed.follow(
                record, trial, write=functools.partial(click.echo, nl=False),
                there=lambda: driver.driver_of(record.folder) is not None,
            )  # fmt: skip
        else:
            click.echo(printed.text(record, trial))


@commands.command()
@click.argument("study")
@options.runs_option
@options.json_option
def best(study: str, runs: Path, as_json: bool) -> None:
    """Show the best trial of a study, against its baseline, and how to train it again.

    \b
    Example:
      raylt best sdclr-digits --json
    """
    from raylt.study import driver, review

    record = driver.open_study(_name(study), runs)
    if as_json:
        _print_json(review.best(record))
    else:
        click.echo(review.best_text(record))


@commands.command()
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1),
              help="Winners to confirm; study.confirm.top unless given.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1),
              help="Seeds of each setting; study.confirm.seeds unless given.")  # fmt: skip
@click.option("--no-race", is_flag=True, help="Run hopeless candidates to the end, too.")
@click.option("--retry-failed", is_flag=True, help="Run the failed runs again.")
@options.run_options
def confirm(
    study: str, top: int | None, seeds: int | None, no_race: bool, retry_failed: bool,
    as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Is it really better? Run winners and baseline over fresh seeds, and open the test set once.

    \b
    Examples:
      raylt confirm sdclr-digits
      raylt confirm sdclr-digits --top 1 --seeds 8
    """
    words = ["confirm", _name(study)]
    words += ["--top", str(top)] if top is not None else []
    words += ["--seeds", str(seeds)] if seeds is not None else []
    words += ["--no-race"] if no_race else []
    words += ["--retry-failed"] if retry_failed else []
    _send_elsewhere(words, label=study, space=None, as_json=as_json, **options)
    from dataclasses import asdict

    from raylt.study import confirm, confirmed

    chosen = confirm.Options(top=top, seeds=seeds, race=not no_race, retry_failed=retry_failed)
    settings = _settings(**options)
    found = confirm.confirm(study, settings, chosen)
    if as_json:
        _print_json({**asdict(found), "exit_code": found.exit_code})
    else:
        click.echo(confirmed.text(found))
    raise click.exceptions.Exit(found.exit_code)


@commands.command()
@click.argument("study", required=False)
@options.runs_option
@options.json_option
def status(study: str | None, runs: Path, as_json: bool) -> None:
    """Show the trials of a study, or all studies.

    \b
    Examples:
      raylt status
      raylt status sdclr-digits
    """
    from raylt.study import review

    if study is None:
        lines = review.studies(runs)
        found, text = lines, review.studies_text(lines, runs)
    else:
        found = review.study(_name(study), runs)
        text = review.study_text(found)
    if as_json:
        _print_json(found)
    else:
        click.echo(text)


@commands.command()
@options.runs_option
@click.option("--tracking-uri", metavar="URI", envvar="MLFLOW_TRACKING_URI", show_envvar=True,
              help="MLflow's store; mlflow.db in the runs' folder unless given.")  # fmt: skip
@options.cluster_options
@options.json_option
def doctor(as_json: bool, ship: tuple[Path, ...], wait: bool, **options: Any) -> None:
    """Look at this machine or at all of a cluster, before a search does.

    \b
    Examples:
      raylt doctor
      raylt doctor --cluster clusters/multi-node.yaml
      raylt doctor --address http://head:8265 --runs /shared/runs --json
    """
    from raylt import target
    from raylt.cluster import doctor
    from raylt.study import machine

    chosen = target.choose(**target.names(options))
    if chosen.elsewhere:
        words = ["doctor", *(["--json"] if as_json else [])]
        sent = target.job(chosen, words, label="doctor", space=None, ship=ship)
        raise click.exceptions.Exit(target.send(chosen, sent, wait=wait))
    machine.prepare(threads=1, alone=False)
    findings = doctor.examine(
        address=chosen.address, runs=chosen.runs, tracking_uri=chosen.tracking_uri,
        trial=chosen.trial, cores=machine.cores(),
    )  # fmt: skip
    if as_json:
        from dataclasses import asdict

        _print_json([asdict(finding) for finding in findings])
    else:
        click.echo(doctor.text(findings))
    raise click.exceptions.Exit(3 if doctor.worst(findings) == "error" else 0)


@commands.command()
@click.argument("study")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
              help="The file; report.html in the study's folder unless given.")  # fmt: skip
@options.runs_option
def report(study: str, output: Path | None, runs: Path) -> None:
    """Write a study on one page: verdict, charts, ranking, costs, and how to repeat it.

    \b
    Examples:
      raylt report sdclr-digits
      raylt report sdclr-digits -o paper/search.html
    """
    from raylt.study import driver
    from raylt.study.report import write

    record = driver.open_study(_name(study), runs)
    click.echo(write(record, output or record.folder / "report.html"))


@commands.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option("--metric", metavar="NAME", help="Rank by this; the first study's objective unless "
              "given.")  # fmt: skip
@click.option("--force", is_flag=True, help="Rank though data or evaluation differ.")
@click.option("--lines", type=click.IntRange(min=1), default=30, show_default=True,
              help="Trials that are shown.")  # fmt: skip
@options.runs_option
@options.json_option
def compare(
    studies: tuple[str, ...], metric: str | None, force: bool, lines: int, runs: Path,
    as_json: bool,
) -> None:  # fmt: skip
    """Rank the trials of several studies that saw the same data.

    \b
    Example:
      raylt compare sdclr-digits bcl-digits --metric val/few
    """
    from raylt.study import compare as comparing
    from raylt.study import driver

    records = [driver.open_study(_name(study), runs) for study in studies]
    found = comparing.compare(records, metric=metric, force=force)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        _print_json(comparing.values(found))
    else:
        click.echo(comparing.text(found, lines=lines))


@commands.command()
@click.argument("study")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--trial", type=int, metavar="N", help="The trial; the best one unless given.")
@click.option("--register", "name", metavar="NAME",
              help="Also log the model into the trial's MLflow run and register it.")  # fmt: skip
@click.option("--data", "root", type=click.Path(file_okay=False, path_type=Path), default="data",
              envvar="RAYLT_DATA", show_default=True, show_envvar=True,
              help="Folder of the datasets' files.")  # fmt: skip
@click.option("--tracking-uri", metavar="URI", envvar="MLFLOW_TRACKING_URI", show_envvar=True,
              help="MLflow's store; mlflow.db in the runs' folder unless given.")  # fmt: skip
@options.runs_option
def export(
    study: str, folder: Path, trial: int | None, name: str | None, root: Path,
    tracking_uri: str | None, runs: Path,
) -> None:  # fmt: skip
    """Take a trained model away: weights, recipe, and a program that needs torch alone.

    \b
    Examples:
      raylt export sdclr-digits models/digits
      raylt export sdclr-digits models/digits --trial 3 --register digits-sdclr
    """
    from raylt.study import driver, tracking
    from raylt.study import export as exporting

    record = driver.open_study(_name(study), runs)
    one = exporting.chosen(record, trial)
    for path in exporting.export(record, one, folder, root=root).values():
        click.echo(path)
    if name is not None:
        uri = tracking_uri or tracking.default_uri(runs)
        version = exporting.register(record, one, root=root, uri=uri, name=name)
        click.echo(f"registered as {name}, version {version}")


@commands.command()
@options.runs_option
@click.option("--tracking-uri", metavar="URI", envvar="MLFLOW_TRACKING_URI", show_envvar=True,
              help="MLflow's store; mlflow.db in the runs' folder unless given.")  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True,
              help="Port on this machine; nobody else can reach it.")  # fmt: skip
def ui(runs: Path, tracking_uri: str | None, port: int) -> None:
    """Open the MLflow UI over all studies, until Ctrl-C.

    \b
    Example:
      raylt ui --runs runs --port 5001
    """
    from raylt.study import review

    review.serve(runs, tracking_uri, port)


def _help_alone(context: click.Context) -> None:
    """A group without a verb shows its help."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _load(file: str | None, words: Sequence[str], overrides: Sequence[str]) -> Space:
    """The space that the command line names."""
    from raylt.space import load

    words = list(words)
    if file is None:
        if not words or "=" in words[0]:
            raise click.UsageError(
                "a space file must be named, but none is; for example "
                "--space search_spaces/sdclr.yaml",
                click.get_current_context(),
            )
        file = words.pop(0)
    return load(file, [*overrides, *words])


def _warn(space: Space) -> None:
    for warning in space.warnings:
        click.echo(f"warning: {warning}", err=True)


def _demand_rival(space: Space) -> None:
    """Refuse a `study.versus` that cannot be searched, before anything starts."""
    if space.study.versus is not None:
        from raylt.study import versus

        versus.rival(space)


def _search(space: Space, *, as_json: bool, **options: Any) -> None:
    words = [str(click.get_current_context().info_name), "--space", "space.yaml"]
    name = space.study.name
    _send_elsewhere(words, label=name, space=space.text, as_json=as_json, **options)
    from raylt.study import begin

    settings = _settings(**options)
    _show(begin.begin(space, settings), settings, as_json)


def _profile(space: Space, settings: Settings, as_json: bool) -> None:
    """Show where the time of a step of a space without open leaves goes."""
    from dataclasses import asdict

    from raylt.schema import InputError
    from raylt.study import machine

    if settings.workers > 1 or settings.address is not None:
        raise InputError(
            "--profile watches one process on this machine, but --workers or --address asks for "
            "more; leave them out"
        )
    machine.prepare(threads=settings.cpus_per_worker, alone=True)
    from raylt.trial import profile

    trace = settings.runs / f"{space.study.name}.profile.json"
    found = profile.profile(
        space.at({}), root=settings.root, trace=trace, epochs=1, device=None
    )  # fmt: skip
    if as_json:
        _print_json(asdict(found))
    else:
        click.echo(profile.text(found))


def _send_elsewhere(
    words: Sequence[str], *, label: str, space: str | None, as_json: bool, **options: Any
) -> None:
    """Leave with the command's exit code if it is to run on another cluster."""
    from raylt import target

    chosen = target.choose(**target.names(options))
    if not chosen.elsewhere:
        return
    flags = [flag for flag, on in (("--json", as_json), ("--quiet", options["quiet"])) if on]
    sent = target.job(
        chosen, [*words, *flags], label=label, space=space, ship=options["ship"]
    )  # fmt: skip
    raise click.exceptions.Exit(target.send(chosen, sent, wait=options["wait"]))


def _settings(*, quiet: bool, **options: Any) -> Settings:
    from raylt import target

    command = click.get_current_context().find_object(str) or ""
    return target.settings(target.choose(**target.names(options)), quiet=quiet, command=command)


def _show(result: Result, settings: Settings, as_json: bool) -> NoReturn:
    """Print the end of a search and that of its rival, and leave with the exit code."""
    from dataclasses import asdict

    from raylt.study import driver, versus

    if not as_json:
        _summarise(result)
    rival = versus.follow(result, settings)
    compared = None
    if rival is not None:
        names = (result.name, rival.name)
        compared = versus.comparison(*(driver.open_study(name, settings.runs) for name in names))
    code = result.exit_code if rival is None else max(result.exit_code, rival.exit_code)
    if as_json:
        more = {"versus": {"result": asdict(rival), **compared}} if rival and compared else {}
        _print_json({**asdict(result), "exit_code": code, **more})
    elif rival and compared:
        _summarise(rival)
        click.echo("\n" + versus.text(compared))
    raise click.exceptions.Exit(code)


def _summarise(result: Result) -> None:
    from rich.console import Console

    from raylt.study import progress

    # Where nobody looks on there is no edge of a screen to keep to.
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    with console.capture() as captured:
        progress.summary(result, console)
    click.echo(captured.get(), nl=False)


def _name(study: str) -> str:
    """A study's name, which is also that of a folder."""
    from raylt.names import study_name
    from raylt.schema import InputError

    try:
        return study_name(study)
    except ValueError as error:
        raise InputError(f"STUDY: {error}") from None


def _print_json(found: Any) -> None:
    click.echo(json.dumps(_finite(found), indent=2, default=str, allow_nan=False))


def _finite(found: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
