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


space_options = several(
    click.option("-s", "--space", "file", metavar="FILE",
                 help="The space file; - reads standard input."),
    click.argument("words", nargs=-1, metavar="[FILE] [KEY=VALUE]..."),
)  # fmt: skip
runs_option = click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default="runs",
    envvar="RAYLT_RUNS", show_default=True, show_envvar=True, help="Folder of all studies.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
run_options = several(
    runs_option,
    click.option("--data", type=click.Path(file_okay=False, path_type=Path), default="data",
                 envvar="RAYLT_DATA", show_default=True, show_envvar=True,
                 help="Folder of the datasets' files."),
    click.option("--tracking-uri", metavar="URI", envvar="MLFLOW_TRACKING_URI", show_envvar=True,
                 help="MLflow's store; mlflow.db in the runs' folder unless given."),
    click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True,
                 help="Processes that train one trial together."),
    click.option("--concurrent", type=click.IntRange(min=1),
                 help="Trials at a time; as many as fit unless given."),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing while it runs."),
    json_option,
)  # fmt: skip
