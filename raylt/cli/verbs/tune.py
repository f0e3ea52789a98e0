"""The verbs that train: tune, train, resume."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, NoReturn

import click

from raylt.cli import options, output
from raylt.study.run.waiting import waiting

if TYPE_CHECKING:
    from raylt.cli.target import Target
    from raylt.settings import Settings
    from raylt.space import Space
    from raylt.study.run.result import Result


@click.command(cls=options.Verb)
@options.space_options
@click.option("-n", "--trials", metavar="N", help="Trials of the study: study.trials=N")
@click.option("--study", metavar="NAME", help="Name of the study: study.name=NAME")
@click.option(
    "--versus",
    metavar="METHOD",
    help="Also search this method with the same budget, and compare: study.versus=METHOD",
)
@options.sending_options
@options.json_option
def tune(
    file: str | None,
    words: tuple[str, ...],
    trials: str | None,
    study: str | None,
    versus: str | None,
    as_json: bool,
    target: Target,
) -> None:
    """Search a space: sample, train, stop weak trials early, rank.

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
    space = options.load_space(file, words, overrides)
    _search("tune", space, target, as_json)


@click.command(cls=options.Verb)
@options.space_options
@click.option("--study", metavar="NAME", help="Name of the study: study.name=NAME")
@click.option(
    "--data-of", metavar="STUDY", help="Refuse if the images are no longer those of that study"
)
@click.option(
    "--profile",
    is_flag=True,
    help="Only train two epochs in this process, show where their time went, and write a trace; "
    "no study is made",
)
@options.sending_options
@options.json_option
def train(
    file: str | None,
    words: tuple[str, ...],
    study: str | None,
    data_of: str | None,
    profile: bool,
    as_json: bool,
    target: Target,
) -> None:
    """Train one model: a space with nothing left open.

    \b
    Examples:
      raylt train -s search_spaces/sdclr.yaml --study paper \\
        method.prune=0.9 method.temperature=0.2 optimizer.lr=0.5
      raylt train -s paper.yaml --profile
    """
    overrides = [f"study.name={json.dumps(study)}"] if study is not None else []
    overrides += ["study.trials=1", "study.versus=null"]
    space = options.load_space(file, words, overrides)
    _require_closed(space)
    if profile:
        _profile(space, target.settings, as_json)
    else:
        _search("train", space, target, as_json, data_of=data_of)


@click.command(cls=options.Verb)
@options.study_argument()
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("-n", "--trials", metavar="N", help="Trials of the study, or +N for N more")
@click.option(
    "-s",
    "--space",
    "file",
    metavar="FILE",
    help="Continue with this space, which may have wider ranges and more choices",
)
@click.option("--retry-failed", is_flag=True, help="Run failed trials again")
@options.sending_options
@options.json_option
def resume(
    study: str,
    words: tuple[str, ...],
    trials: str | None,
    file: str | None,
    retry_failed: bool,
    as_json: bool,
    target: Target,
) -> None:
    """Continue a study that was interrupted, or make it larger.

    Trials that have finished do not run again.

    \b
    Examples:
      raylt resume sdclr-digits
      raylt resume sdclr-digits --trials +20
      raylt resume sdclr-digits study.budget.wall_clock=8h
      raylt resume sdclr-digits --space wider.yaml
      raylt resume sdclr-digits 'study.baseline={source: mine, values: {method.prune: 0.5}}'
    """
    sent = ["resume", options.study_name(study), *options.given("retry_failed", "trials")]
    wider = None if file is None else options.load_space(file, words, [])
    if wider is not None:
        # Its warm start is in the study of record, whatever became of the sources.
        wider = replace(wider, sources=())
    sent += words if wider is None else []
    target.send_unless_here(sent, label=study, as_json=as_json, space=wider)
    from raylt import space
    from raylt.study.run import driver

    settings = target.settings
    if wider is None and words:
        with contextlib.closing(options.open_study(study, settings)) as record:
            file_of_study = record.folder / "space.yaml"
            wider = space.stored(file_of_study, words, whole_ends=record.whole_ends)
    with _explained_interruption(study, settings):
        result = driver.resume(
            study, settings, retry_failed=retry_failed, trials=trials, space=wider
        )
    _follow_with_rival(result, settings, as_json)


def _require_closed(space: Space) -> None:
    """Refuse a space with open leaves."""
    if not space.leaves:
        return
    from raylt.schema import InputError

    point = space.baseline_point or {leaf.path: leaf.ends[0] for leaf in space.leaves}
    example = " ".join(f"{path}={value}" for path, value in point.items())
    raise InputError(
        f"{space.source}: every leaf must have a value to train one model, but "
        f"{', '.join(leaf.path for leaf in space.leaves)} are left open; add {example}, or "
        f"search with `raylt tune`"
    )


def _search(
    verb: str, space: Space, target: Target, as_json: bool, *, data_of: str | None = None
) -> NoReturn:
    """Search a space here or on the cluster, and leave with the exit code; `data_of` is the name
    of a study whose images it must have."""
    from raylt.study.run import plan

    if not target.is_here:
        plan.check_space(space, here=False)
    sent = [verb, *(["--data-of", options.study_name(data_of)] if data_of else [])]
    target.send_unless_here(sent, label=space.study.name, as_json=as_json, space=space)
    settings = target.settings
    with contextlib.ExitStack() as stack:
        stack.enter_context(_explained_interruption(space.study.name, settings))
        with waiting("checking the space and its data", quiet=settings.quiet, brief=True):
            from raylt.study.run import driver

            like = None
            if data_of is not None:
                opened = options.open_study(data_of, settings)
                like = stack.enter_context(contextlib.closing(opened))
            checked = plan.check(space, settings, data_of=like)
        if checked.warm is not None and not settings.quiet:
            from raylt.study.warm_start import carried

            for line in carried.lines(checked.warm, space):
                output.tell(line, err=True)
        result = driver.run(checked)
    _follow_with_rival(result, target.settings, as_json)


@contextlib.contextmanager
def _explained_interruption(name: str, settings: Settings) -> Generator[None]:
    """Tell whoever interrupts a search before it has started, or twice, what is saved."""
    try:
        yield
    except KeyboardInterrupt:
        if not (settings.runs / name).exists():
            raise KeyboardInterrupt(
                "before the search had started: nothing was saved, and nothing is left behind"
            ) from None
        from raylt import printed

        again = printed.command("resume", [name], settings)
        raise KeyboardInterrupt(f"at once; what was scored is saved: `{again}`") from None


def _profile(space: Space, settings: Settings, as_json: bool) -> None:
    """Show where the time of a step goes, for a space without open leaves."""
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
    times = profile.profile(space.at({}), root=settings.data, trace=trace, epochs=1, device=None)
    if as_json:
        output.print_json(asdict(times))
    else:
        output.echo(profile.text(times))


def _follow_with_rival(result: Result, settings: Settings, as_json: bool) -> NoReturn:
    """Print a search, search its rival if it has one, and leave with the exit code of both."""
    from raylt.study.report import versus
    from raylt.study.run.rival import follow

    unwritten: OSError | None = None
    if not as_json:
        try:
            output.print_summary(result)
        except OSError as error:
            # The rival is searched, whether anybody reads or not.
            unwritten = error
    rival = follow(result, settings)
    comparison = None
    if rival is not None:
        searched = (options.open_study(name, settings) for name in (result.name, rival.name))
        comparison = versus.comparison(*searched)
    code = result.exit_code if rival is None else max(result.exit_code, rival.exit_code)
    if as_json:
        more = {"versus": {"result": asdict(rival), **comparison}} if rival and comparison else {}
        output.print_json({**asdict(result), "exit_code": code, **more})
    elif rival and comparison:
        output.print_summary(rival)
        output.show("", *versus.text(comparison).splitlines())
    if unwritten is not None:
        raise unwritten
    raise click.exceptions.Exit(code)
