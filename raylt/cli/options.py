"""Options that several verbs of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Verb = Callable[..., Any]


def several(*options: Callable[[Verb], Verb]) -> Callable[[Verb], Verb]:
    """Several options as one decorator, in the order of the help."""

    def decorate(verb: Verb) -> Verb:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return decorate


def _pack(context: click.Context, option: click.Parameter, text: str | None) -> str | int | None:
    if text is None or text == "auto":
        return text
    if text.isdigit() and int(text) >= 1:
        return int(text)
    raise click.BadParameter(f"must be auto or a whole number from 1, but got {text!r}")


space_options = several(
    click.option(
        "-s", "--space", "file", metavar="FILE", help="The space file; - reads standard input."
    ),
    click.argument("words", nargs=-1, metavar="[FILE] [KEY=VALUE]..."),
)
runs_option = click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    envvar="RAYLT_RUNS",
    show_default=True,
    show_envvar=True,
    help="Folder of all studies.",
)
data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default="data",
    envvar="RAYLT_DATA",
    show_default=True,
    show_envvar=True,
    help="Folder of the datasets' files.",
)
storage_option = click.option(
    "--storage",
    metavar="URL",
    envvar="OPTUNA_STORAGE",
    show_envvar=True,
    help="PostgreSQL database for the study of record, which any machine may go on with; study.db "
    "in the study's folder unless given.",
)
tracking_option = click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    show_envvar=True,
    help="MLflow's store; mlflow.db in the runs' folder unless given.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_profile_option = click.option(
    "--cluster",
    type=click.Path(path_type=Path),
    metavar="FILE",
    envvar="RAYLT_CLUSTER",
    show_envvar=True,
    help="A profile: what a trial books, and where; see clusters/.",
)
cluster_options = several(
    _profile_option,
    click.option(
        "--address",
        metavar="ADDRESS",
        help="auto or HOST:6379 to search on the Ray cluster of this machine, "
        "http://HOST:8265 to send the command there.",
    ),
    click.option(
        "--wait/--no-wait",
        default=True,
        show_default=True,
        help="Whether to follow a command that was sent; else its id is printed.",
    ),
    click.option(
        "--ship",
        type=click.Path(path_type=Path),
        metavar="PATH",
        multiple=True,
        help="A file or folder to send along, such as a module of your own.",
    ),
)


def _bucket(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    from raylt.trial.checkpoints import bucket

    try:
        return None if text is None else bucket.require_uri(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_trial_options = several(
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Processes that train one trial together; 1 unless given.",
    ),
    click.option(
        "--concurrent",
        type=click.IntRange(min=1),
        help="Trials at a time; as many as fit unless given.",
    ),
    click.option(
        "--pack",
        metavar="auto|N",
        callback=_pack,
        help="Trials that share one GPU; auto measures a few steps, and without a GPU "
        "fits the trials into the memory.",
    ),
)
machine_options = several(runs_option, data_option, _trial_options, _profile_option)
run_options = several(
    runs_option,
    data_option,
    tracking_option,
    click.option(
        "--tracking-optional",
        is_flag=True,
        help="Begin though the store does not answer; it gets what it lacks later.",
    ),
    click.option(
        "--system-metrics",
        is_flag=True,
        help="Tell MLflow what each trial's machine does: processors, memory, GPUs.",
    ),
    storage_option,
    click.option(
        "--checkpoints",
        metavar="URI",
        envvar="RAYLT_CHECKPOINTS",
        show_envvar=True,
        callback=_bucket,
        help="Bucket that keeps the checkpoints, too, as in s3://BUCKET/PREFIX: "
        "trials go on elsewhere without a shared folder.",
    ),
    _trial_options,
    cluster_options,
    click.option("-q", "--quiet", is_flag=True, help="Show nothing while it runs."),
    json_option,
)
