"""What Ray runs for a trial: the work function, with its errors turned into a report.

This module is imported in every process of a trial, so it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import pkgutil
import socket
import sysconfig
import traceback
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from raylt import recipe as recipes
from raylt import threads
from raylt.plugins import outside
from raylt.recipe import Recipe
from raylt.study.workers import system_metrics
from raylt.study.workers.system_metrics import Report
from raylt.trial.checkpoints import bucket
from raylt.trial.checkpoints.upload import sending
from raylt.trial.cost import memory
from raylt.trial.execution import cache

_LOOK = 1.0
"""Seconds between two looks at whether Ray is still there."""
_PACKAGE = str(Path(__file__).parents[2])
_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
"""Folders whose code is not what a user wants to be shown."""


@contextlib.contextmanager
def ending_with_ray() -> Generator[None]:
    """End this process if the one that started it, Ray's raylet, dies in a `with`.

    After the death of a driver Ray itself takes a minute for that, in which a resumed study would
    train the same trial beside it.
    """
    parent = os.getppid()

    def end_as_orphan() -> None:
        if os.getppid() != parent:
            os._exit(1)

    with threads.every(_LOOK, end_as_orphan):
        yield


@ending_with_ray()
def trial(config: dict[str, Any]) -> None:
    """One trial in this process, for Ray Tune.

    An error of the work is reported as `failure`, and the trial ends normally: running the same
    program again would only fail again, unless `out_of_memory` says that it shared a GPU. Only a
    process that died is started again.

    Args:
        config: What `TruthfulSearcher.suggest` returns, and from the driver `work`, `root`,
            `runs`, `system_metrics`,
            `gpu_share`, the share of a GPU that a trial gets beside others, and
            `bucket`, that of all trials or None.
    """
    from ray import tune

    folder = Path(config["folder"])
    require_shared(folder, config["bucket"])
    folder.mkdir(parents=True, exist_ok=True)

    def report(metrics: Mapping[str, float]) -> None:
        require_finite(metrics)
        tune.report(dict(metrics))

    # What it printed on another machine is fetched first, and then continued.
    with (
        sending(folder, bucket_of(config)),
        output(folder / "output.txt"),
    ):
        try:
            if config["gpu_share"] < 1:
                memory.cap(1.0 if config["alone"] else config["gpu_share"])
            train(config, recipe_of(config), report, watched=True, device=None)
        except Exception as error:
            # Where the disk is full there is no place for it.
            with contextlib.suppress(OSError):
                (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
            end = {"failure": one_line(error), "out_of_memory": memory.ran_out(error)}
        else:
            return
        # Only now are the variables of the work gone.
        memory.release()
        tune.report(end)


def train(
    config: Mapping[str, Any], recipe: Recipe, report: Report, *, watched: bool, **options: Any
) -> None:
    """Train the recipe of a trial in this process.

    Args:
        watched: Whether this machine is the one whose system metrics are reported, if any are.
        options: What the work function takes besides recipe, folders and report.
    """
    on = watched and config["system_metrics"]
    with (
        cache.shared_in(Path(config["runs"])),
        system_metrics.read(report, on=on) as report_all,
    ):
        folders = {"root": Path(config["root"]), "folder": Path(config["folder"])}
        work: Callable[..., object] = pkgutil.resolve_name(config["work"])
        work(recipe, **folders, report=report_all, **options)


def recipe_of(config: Mapping[str, Any]) -> Recipe:
    """The recipe of a trial, once the modules that it names may be imported here, too."""
    kept = Path(config["folder"]).parents[1] / outside.FOLDER
    outside.write(config["modules"], kept)
    outside.use(kept, kept=True)
    return recipes.parse(json.loads(config["recipe"]))


def require_shared(folder: Path, bucketed: str | None) -> None:
    """Refuse to train on a machine that has just joined and does not share the runs folder.

    Raises:
        FileNotFoundError: the machine does not; the trial may be started again elsewhere.
    """
    if bucketed is None and not folder.parent.is_dir():
        raise FileNotFoundError(
            f"every machine must share {folder.parent}, but {socket.gethostname()} does not have "
            f"it; mount it there"
        )


def bucket_of(config: Mapping[str, Any]) -> str | None:
    """Where a trial uploads its checkpoints; None without a bucket."""
    top = config["bucket"]
    return None if top is None else bucket.join(top, config["number"])


@contextlib.contextmanager
def output(path: Path) -> Generator[None]:
    """Append what a trial prints to a file of its own."""
    with (
        path.open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield


def require_finite(metrics: Mapping[str, float]) -> None:
    """Refuse an epoch that no search could rank.

    Raises:
        ArithmeticError: a metric is NaN or infinite.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ArithmeticError(
                f"every metric must be finite, but {name} was {value} in epoch "
                f"{metrics['epoch']:.0f}"
            )


def one_line(error: BaseException) -> str:
    """The root cause in one line: what was raised, and where the project's or user's code was."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if frame.filename.startswith(_PACKAGE) or not frame.filename.startswith(("<", *_LIBRARIES))
    ]
    text = " ".join(str(error).split()) or "no message"
    at = own[-1] if own else None
    where = f" ({Path(at.filename).name}:{at.lineno} in {at.name})" if at else ""
    return f"{type(error).__name__}: {text[:500]}{where}"
