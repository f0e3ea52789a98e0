"""One process of a trial: device, data, resume, fit, score, checkpoint, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch.profiler import record_function

from raylt import collectives, metrics
from raylt.recipe import Recipe
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import classes
from raylt.trial.evaluation.score import Score, score
from raylt.trial.execution import choice, fastest
from raylt.trial.execution.choice import Execution
from raylt.trial.fit import Epoch
from raylt.trial.parts import Parts

Report = Callable[[dict[str, float]], None]
Leave = Callable[[], bool]

SPACING = 60.0
"""Seconds of training that are lost at most, beside the epoch that runs, where epochs are seldom
scored."""


def work(
    recipe: Recipe,
    *,
    root: Path,
    folder: Path,
    report: Report,
    device: str | None,
    leave: Leave | None = None,
) -> Score | None:
    """Train and score one recipe, from the newest checkpoint in `folder` where there is one.

    Called once in each process of a trial; with an initialised `torch.distributed` group the
    processes train one model together, and every one of them reports the same numbers.

    The checkpoint of an epoch is written while the epoch is scored, and is on the disk before its
    report goes out; a resumed run reports the scored epochs of its checkpoint again: a report may
    arrive twice, but none is lost. A run that is killed trains one epoch again at most.
    Epochs that are not scored leave a checkpoint too, when `SPACING` seconds have passed.

    Args:
        report: Takes `epoch` and the metrics of each scored epoch.
        device: "cpu", "cuda", "cuda:1", ... or None for a GPU where there is one.
        leave: Asked after every epoch but the last, in every process alike: whether to leave a
            checkpoint of that epoch and return. None where the run never leaves early.

    Returns:
        The score of the last epoch on the validation images; None for a run that left before.

    Raises:
        raylt.trial.fit.Diverged: a loss became NaN or infinite.
    """
    where = parts.device_of(device)
    execution = fastest.choose(
        recipe, root=root, device=where, began=_began(recipe, where, folder)
    )
    run = parts.build(recipe, root=root, device=where, execution=execution)
    if collectives.rank() == 0:
        choice.write(folder, execution)
    resumed = checkpoint.latest(folder, recipe.digest, method=run.method)
    if resumed is not None:
        resumed.restore(run.method, run.optimizer)
    start, history = (resumed.epoch, list(resumed.history)) if resumed else (0, [])
    for entry in history:
        report(entry)
    # A run that is over already is only scored.
    newest = _score(run) if start == recipe.epochs else None
    saved = time.monotonic()
    for epoch in run.epochs(run.batches, start=start):
        is_last = epoch.number == recipe.epochs
        leaving = leave is not None and not is_last and leave()
        scored = is_last or epoch.number % recipe.evaluation.every == 0
        due = scored or leaving or time.monotonic() - saved > SPACING
        with _writing(folder, run, epoch, history, due=due) as keep:
            if scored:
                newest = _score(run)
                history.append(_entry(epoch, newest, history))
            with record_function("raylt/report"):
                if scored and newest is not None:
                    _keep_classes(folder, run, epoch, newest)
                if keep is not None:
                    keep(history, best=scored and _is_best(history))
                    saved = time.monotonic()
                if scored:
                    report(history[-1])
        if leaving:
            return None
    return newest


def _began(recipe: Recipe, device: torch.device, folder: Path) -> Execution | None:
    """How a run that goes on has computed its steps so far; None for one that begins."""
    header = checkpoint.header(folder)
    if header is None or header.digest != recipe.digest:
        return None
    # Version 0.1.0 measured nothing.
    return choice.parse(header.execution) if header.execution else parts.as_given(recipe, device)


def _writing(
    folder: Path, run: Parts, epoch: Epoch, history: Sequence[dict[str, float]], *, due: bool
) -> AbstractContextManager[checkpoint.Keep | None]:
    """`checkpoint.writing` where this process is the one to do it, and it is due."""
    if collectives.rank() or not due:
        return contextlib.nullcontext()
    return checkpoint.writing(
        folder,
        epoch=epoch.number,
        digest=run.recipe.digest,
        method=run.method,
        optimizer=run.optimizer,
        history=history,
        execution=run.execution,
    )


def _score(run: Parts) -> Score:
    with record_function("raylt/evaluation"):
        return score(run.method, run.splits, run.splits.validation, run.recipe, device=run.device)


def _entry(epoch: Epoch, scored: Score, history: Sequence[dict[str, float]]) -> dict[str, float]:
    """What is reported of a scored epoch; `history` are the reports before it."""
    entry = {
        "epoch": epoch.number,
        **{f"val/{name}": value for name, value in scored.metrics.items()},
        "train/loss": sum(epoch.losses.values()),
        **{f"train/{name}": value for name, value in epoch.losses.items()},
        "lr": epoch.learning_rate,
        "images_per_second": epoch.images / epoch.seconds,
    }
    return entry | metrics.groups_of(_best([*history, entry]), of="val/", to="val/best/")


def _best(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """The scored epoch that validation would choose; of equals the first.

    A trial is judged by its last epoch; papers that take the best one on validation images are
    compared with this one.
    """
    return max(history, key=lambda entry: entry.get("val/accuracy", 0.0))


def _is_best(history: Sequence[dict[str, float]]) -> bool:
    """Whether the last epoch is the best; without validation images none is."""
    return "val/accuracy" in history[-1] and _best(history) is history[-1]


def _keep_classes(folder: Path, run: Parts, epoch: Epoch, scored: Score) -> None:
    if collectives.rank() == 0:
        classes.keep(
            folder,
            epoch=epoch.number,
            predictions=scored.predictions,
            labels=scored.labels,
            train_counts=run.splits.train_counts,
            names=run.splits.names,
        )
