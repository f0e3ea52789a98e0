"""The verbs that look at studies: logs, best, status, doctor, report, compare, export, ui."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from raylt.cli import common, options


@click.command()
@click.argument("study")
@click.argument("trial", type=click.IntRange(min=0))
@click.option("-f", "--follow", is_flag=True, help="Go on showing it until the trial ends.")
@options.runs_option
@options.storage_option
def logs(study: str, trial: int, follow: bool, runs: Path, storage: str | None) -> None:
    """Show what a trial printed, and the traceback of its failure.

    \b
    Examples:
      raylt logs sdclr-digits 3
      raylt logs sdclr-digits 3 --follow
    """
    import functools

    from raylt.study.record import lock, studies
    from raylt.study.report import logs as printed

    with contextlib.closing(studies.open_study(common.study_name(study), runs, storage)) as record:
        if follow:
            printed.follow(
                record,
                trial,
                write=functools.partial(click.echo, nl=False),
                driven=lambda: lock.driver_of(record.folder, record.url) is not None,
            )
        else:
            click.echo(printed.text(record, trial))


@click.command()
@click.argument("study")
@options.runs_option
@options.storage_option
@options.json_option
def best(study: str, runs: Path, storage: str | None, as_json: bool) -> None:
    """Show the best trial of a study, against its baseline, and how to train it again.

    \b
    Example:
      raylt best sdclr-digits --json
    """
    from raylt.study.record import studies
    from raylt.study.report import best as best_trial

    record = studies.open_study(common.study_name(study), runs, storage)
    if as_json:
        common.print_json(best_trial.best(record))
    else:
        click.echo(best_trial.best_text(record))


@click.command()
@click.argument("study", required=False)
@options.runs_option
@options.storage_option
@options.json_option
def status(study: str | None, runs: Path, storage: str | None, as_json: bool) -> None:
    """Show the trials of a study, or all studies.

    \b
    Examples:
      raylt status
      raylt status sdclr-digits
    """
    from raylt.study.report import status as review

    if study is None:
        lines = review.studies(runs, storage)
        found, text = lines, review.studies_text(lines, runs)
    else:
        found = review.study(common.study_name(study), runs, storage)
        text = review.study_text(found)
    if as_json:
        common.print_json(found)
    else:
        click.echo(text)


@click.command()
@options.runs_option
@options.tracking_option
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
    from raylt.cli import target
    from raylt.cluster import doctor
    from raylt.study.resources import environment, local_ray

    chosen = target.choose(**target.names(options))
    if chosen.elsewhere:
        words = ["doctor", *(["--json"] if as_json else [])]
        sent = target.job(chosen, words, label="doctor", space=None, ship=ship)
        raise click.exceptions.Exit(target.send(chosen, sent, wait=wait))
    environment.prepare_ray(threads=1, alone=False)
    findings = doctor.examine(
        address=chosen.address,
        runs=chosen.runs,
        tracking_uri=chosen.tracking_uri,
        checkpoints=chosen.checkpoints,
        trial=chosen.trial,
        cores=local_ray.cores(),
    )
    if as_json:
        from dataclasses import asdict

        common.print_json([asdict(finding) for finding in findings])
    else:
        click.echo(doctor.text(findings))
    raise click.exceptions.Exit(3 if doctor.worst(findings) == "error" else 0)


@click.command()
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; report.html in the study's folder unless given.",
)
@options.runs_option
@options.storage_option
def report(study: str, output: Path | None, runs: Path, storage: str | None) -> None:
    """Write a study on one page: verdict, charts, ranking, costs, and how to repeat it.

    \b
    Examples:
      raylt report sdclr-digits
      raylt report sdclr-digits -o paper/search.html
    """
    from raylt.study.record import studies
    from raylt.study.report.page import write

    record = studies.open_study(common.study_name(study), runs, storage)
    click.echo(write(record, output or record.folder / "report.html"))


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option(
    "--metric", metavar="NAME", help="Rank by this; the first study's objective unless given."
)
@click.option("--force", is_flag=True, help="Rank though data or evaluation differ.")
@click.option(
    "--lines",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Trials that are shown.",
)
@options.runs_option
@options.storage_option
@options.json_option
def compare(
    studies: tuple[str, ...],
    metric: str | None,
    force: bool,
    lines: int,
    runs: Path,
    storage: str | None,
    as_json: bool,
) -> None:
    """Rank the trials of several studies that saw the same data.

    \b
    Example:
      raylt compare sdclr-digits bcl-digits --metric val/few
    """
    from raylt.study.record.studies import open_study
    from raylt.study.report import leaderboard as comparing

    records = [open_study(common.study_name(study), runs, storage) for study in studies]
    found = comparing.compare(records, metric=metric, force=force)
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        common.print_json(comparing.values(found))
    else:
        click.echo(comparing.text(found, lines=lines))


@click.command()
@click.argument("study")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--trial", type=int, metavar="N", help="The trial; the best one unless given.")
@click.option(
    "--register",
    "name",
    metavar="NAME",
    help="Also log the model into the trial's MLflow run and register it.",
)
@options.data_option
@options.tracking_option
@options.runs_option
@options.storage_option
def export(
    study: str,
    folder: Path,
    trial: int | None,
    name: str | None,
    data: Path,
    tracking_uri: str | None,
    runs: Path,
    storage: str | None,
) -> None:
    """Take a trained model away: weights, recipe, and a program that needs torch alone.

    \b
    Examples:
      raylt export sdclr-digits models/digits
      raylt export sdclr-digits models/digits --trial 3 --register digits-sdclr
    from raylt.study.tracking import store
    """
    from raylt.study import export as exporting
    from raylt.study.record import studies

    record = studies.open_study(common.study_name(study), runs, storage)
    one = exporting.chosen(record, trial)
    for path in exporting.export(record, one, folder, root=data).values():
        click.echo(path)
    if name is not None:
        from raylt.study.tracking import store

        uri = tracking_uri or store.default_uri(runs)
        version = exporting.register(record, one, root=data, uri=uri, name=name)
        click.echo(f"registered as {name}, version {version}")


@click.command()
@options.runs_option
@options.tracking_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="Port on this machine; nobody else can reach it.",
)
def ui(runs: Path, tracking_uri: str | None, port: int) -> None:
    """Open the MLflow UI over all studies, until Ctrl-C.

    \b
    Example:
      raylt ui --runs runs --port 5001
    """
    from raylt.study.tracking import ui as mlflow_ui

    mlflow_ui.serve(runs, tracking_uri, port)
