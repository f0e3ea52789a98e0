"""One process of a trial: device, data, resume, fit, score, checkpoint, report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import record_function

from raylt import collectives, datasets, encoders, optim, plugins
from raylt.data.augment import AugmentParams
from raylt.data.batches import Batches
from raylt.data.images import Sealed, Splits
from raylt.methods import _base
from raylt.recipe import Recipe
from raylt.schema import DatasetConfig
from raylt.trial.checkpoints import checkpoint
from raylt.trial.compiled import Compiled
from raylt.trial.cost import memory
from raylt.trial.evaluation import classes
from raylt.trial.evaluation.score import Score, score
from raylt.trial.fit import Epoch, Training, fit

Report = Callable[[dict[str, float]], None]
Leave = Callable[[], bool]

_log = logging.getLogger("raylt")

SPACING = 60.0
"""Seconds of training that are lost at most, beside the epoch that runs, where epochs are seldom
scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one process trains with, made by `parts`."""

    recipe: Recipe
    device: torch.device
    splits: Splits
    """The test images are sealed."""
    method: _base.Method
    step: nn.Module
    """What is called for the loss terms: the method, compiled, or DDP around it."""
    optimizer: torch.optim.Optimizer
    batches: Batches

    def epochs(self, batches: Training, *, start: int) -> Iterator[Epoch]:
        """Train on `batches` from epoch `start`, counted from 0, and yield after each epoch."""
        return fit(
            self.method,
            self.step,
            batches,
            self.optimizer,
            learning_rate=_learning_rate(self.recipe, batches.steps),
            autocast=_autocast(self.recipe, self.device),
            start=start,
            epochs=self.recipe.epochs,
        )


def parts(recipe: Recipe, *, root: Path, device: torch.device) -> Parts:
    """The untrained parts of a run on a device, for this process of it."""
    splits = _splits(recipe, root)
    method = method_of(recipe, splits, device)
    return Parts(
        recipe=recipe,
        device=device,
        splits=splits,
        method=method,
        step=_step(recipe, method, device),
        optimizer=optim.optimizer(
            method, **recipe.optimizer.model_dump(exclude={"batch_size", "drop_last"})
        ),
        batches=_batches(recipe, splits, method, device),
    )


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
        recipe: The run.
        root: Folder of the datasets on this machine.
        folder: The trial's own folder for checkpoints.
        report: Takes `epoch` and the metrics of each scored epoch.
        device: "cpu", "cuda", "cuda:1", ... or None for a GPU where there is one.
        leave: Asked after every epoch but the last, in every process alike: whether to leave a
            checkpoint of that epoch and return. None where nobody asks.

    Returns:
        The score of the last epoch on the validation images; None for a run that left before.

    Raises:
        raylt.trial.fit.Diverged: a loss became NaN or infinite.
    """
    run = parts(recipe, root=root, device=device_of(device))
    resumed = checkpoint.latest(folder, recipe.digest)
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
    return entry | groups_of(_best([*history, entry]), of="val/", to="val/best/")


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
        )


def groups_of(metrics: dict[str, float], *, of: str, to: str) -> dict[str, float]:
    """The accuracies over all classes and over the shot groups, under other names.

    Args:
        metrics: What was scored.
        of: What their names begin with there.
        to: What their names begin with in the result.
    """
    groups = ("accuracy", "many", "medium", "few")
    return {f"{to}{name}": metrics[key] for name in groups if (key := f"{of}{name}") in metrics}


def device_of(wanted: str | None) -> torch.device:
    """The device of that name, or for None a GPU where there is one; the CPU gets its threads, and
    this process keeps its memory."""
    device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cpu":
        # One trial a core and one thread a trial: more threads only fight for the same cores.
        wanted_threads = os.environ.get("OMP_NUM_THREADS", "")
        torch.set_num_threads(int(wanted_threads) if wanted_threads.isdigit() else 1)
        memory.keep()
    return device


def _splits(recipe: Recipe, root: Path) -> Splits:
    return _read(recipe.data.model_dump_json(), root)


@functools.lru_cache(maxsize=2)
def _read(data: str, root: Path) -> Splits:
    # A reused process trains many recipes on the same images: they are read once, never changed.
    config = plugins.config("datasets", json.loads(data)["name"]).model_validate_json(data)
    assert isinstance(config, DatasetConfig)
    # Training has no way to the test images: only `trial.evaluation.test_score` reads them.
    return dataclasses.replace(datasets.load(config, root), test=Sealed())


def method_of(recipe: Recipe, splits: Splits, device: torch.device) -> _base.Method:
    """The untrained method of a recipe on a device; its weights are a function of the seed."""
    channels = splits.train.take(np.zeros(1, np.int64)).shape[1]
    # The weights are drawn on the CPU, so that they are the same on every device.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        encoder = encoders.build(
            recipe.encoder, channels=channels, size=recipe.size, mean=splits.mean, std=splits.std
        )
        method = _base.build(recipe.method, encoder, splits.train_counts)
    return method.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _step(recipe: Recipe, method: _base.Method, device: torch.device) -> nn.Module:
    if collectives.world() == 1:
        return Compiled(method) if recipe.compile else method
    if recipe.compile and collectives.rank() == 0:
        _log.warning("steps of several workers are not compiled, and run as they are")
    collectives.synchronise_norms(method)
    ids = [device] if device.type == "cuda" else None
    # Every buffer is computed alike on every worker, so none has to be sent.
    return DistributedDataParallel(method, device_ids=ids, broadcast_buffers=False)


def _batches(
    recipe: Recipe, splits: Splits, method: _base.Method, device: torch.device
) -> Batches:
    return Batches(
        splits.train,
        views=method.views(recipe.method),
        size=recipe.size,
        params=AugmentParams(**recipe.augment.model_dump()),
        batch_size=recipe.optimizer.batch_size,
        drop_last=recipe.optimizer.drop_last,
        seed=recipe.seed,
        device=device,
        rank=collectives.rank(),
        world=collectives.world(),
        channels_last=True,
    )


def _learning_rate(recipe: Recipe, steps: int) -> Callable[[int], float]:
    schedule = recipe.schedule
    return functools.partial(
        optim.learning_rate,
        peak=recipe.optimizer.lr,
        warmup=schedule.warmup * steps,
        total=recipe.epochs * steps,
        name=schedule.name,
        floor=schedule.floor,
        milestones=[epoch * steps for epoch in schedule.milestones],
        gamma=schedule.gamma,
    )


def _autocast(recipe: Recipe, device: torch.device) -> Callable[[], AbstractContextManager[None]]:
    wanted = recipe.precision
    if wanted == "float32" or (wanted == "auto" and not _has_bfloat16(device)):
        return contextlib.nullcontext
    return functools.partial(torch.autocast, device.type, dtype=torch.bfloat16)  # pyright: ignore[reportReturnType]


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 pays on this hardware; asked and not assumed, and alike in every run."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # A CPU with the instructions but without tiles may be slower in bfloat16: ResNet-18 trained
    # at 0.8 times the speed of float32 on one, and at twice on another.
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
