"""One process of a trial: device, data, resume, fit, score, checkpoint, report."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from raylt import collectives, datasets, optim
from raylt.data.batches import Batches
from raylt.data.images import Splits
from raylt.methods import _base
from raylt.nn import resnet
from raylt.recipe import Recipe
from raylt.trial import checkpoint
from raylt.trial.fit import Epoch, fit
from raylt.trial.score import Score, score

Report = Callable[[dict[str, float]], None]


def work(
    recipe: Recipe,
    *,
    root: Path,
    folder: Path,
    report: Report,
    device: str | None,
) -> Score:
    """Train and score one recipe, from the newest checkpoint in `folder` where there is one.

    Called once in each process of a trial; with an initialised `torch.distributed` group the
    processes train one model together, and every one of them reports the same numbers.

    The checkpoint of an epoch is on the disk before its report goes out, and a resumed run
    reports the scored epochs of its checkpoint again: a report may arrive twice, but none is lost.

    Args:
        recipe: The run.
        root: Folder of the datasets on this machine.
        folder: The trial's own folder for checkpoints.
        report: Takes `epoch` and the metrics of each scored epoch.
        device: "cpu", "cuda", "cuda:1", ... or None for a GPU where there is one.

    Returns:
        The score of the last epoch on the validation images.

    Raises:
        raylt.trial.fit.Diverged: a loss became NaN or infinite.
    """
    where = _device(device)
    splits = _splits(recipe, root)
    method = _method(recipe, splits, where)
    step = _distributed(method, where)
    optimizer = optim.optimizer(
        method, **recipe.optimizer.model_dump(include={"name", "lr", "momentum", "weight_decay",
                                                       "decay_norms"})
    )  # fmt: skip
    batches = _batches(recipe, splits, method, where)
    found = checkpoint.latest(folder, digest=recipe.digest)
    history: list[dict[str, float]] = []
    if found:
        found.restore(method, optimizer)
        history = list(found.history)
        for entry in history:
            report(entry)
    epochs = fit(
        method, step, batches, optimizer,
        learning_rate=_learning_rate(recipe, batches.steps),
        autocast=_autocast(recipe, where),
        start=found.epoch if found else 0,
        epochs=recipe.epochs,
    )  # fmt: skip
    last: Score | None = None
    for epoch in epochs:
        if epoch.number % recipe.evaluation.every and epoch.number != recipe.epochs:
            continue
        last = score(method, splits, splits.validation, recipe, device=where)
        history.append(_entry(epoch, last))
        if collectives.rank() == 0:
            checkpoint.save(
                folder, epoch=epoch.number, digest=recipe.digest, history=history,
                method=method, optimizer=optimizer,
            )  # fmt: skip
        report(history[-1])
    return last or score(method, splits, splits.validation, recipe, device=where)


def _entry(epoch: Epoch, scored: Score) -> dict[str, float]:
    return {
        "epoch": epoch.number,
        **{f"val/{name}": value for name, value in scored.metrics.items()},
        "train/loss": sum(epoch.losses.values()),
        **{f"train/{name}": value for name, value in epoch.losses.items()},
        "lr": epoch.learning_rate,
        "images_per_second": epoch.images / epoch.seconds,
    }


def _device(wanted: str | None) -> torch.device:
    device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cpu":
        # One trial a core and one thread a trial: more threads only fight for the same cores.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return device


@functools.lru_cache(maxsize=4)
def _cached_splits(recipe_data: str, name: str, root: Path) -> Splits:
    from raylt import plugins

    return datasets.load(plugins.config("datasets", name).model_validate_json(recipe_data), root)


def _splits(recipe: Recipe, root: Path) -> Splits:
    # A reused process trains many recipes on the same images; they are read once and never change.
    return _cached_splits(recipe.data.model_dump_json(), recipe.data.name, root)


def _method(recipe: Recipe, splits: Splits, device: torch.device) -> _base.Method:
    channels = splits.validation.take(_first()).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        encoder = resnet.encoder(
            recipe.encoder, channels=channels, size=recipe.size, mean=splits.mean, std=splits.std
        )
        method = _base.build(recipe.method, encoder, splits.train_counts)
    method = method.to(device=device, memory_format=torch.channels_last)
    collectives.synchronise_norms(method)
    return method
