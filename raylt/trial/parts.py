"""What one process of a trial trains with: device, images, method, optimizer, batches."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from raylt import collectives, datasets, encoders, optim, plugins
from raylt.data.batches import Batches
from raylt.data.images import Sealed, Splits
from raylt.methods import _base
from raylt.recipe import Recipe
from raylt.schema import DatasetConfig
from raylt.trial.compiled import Compiled
from raylt.trial.cost import memory
from raylt.trial.execution import choice
from raylt.trial.execution.choice import Execution, Layout
from raylt.trial.fit import Epoch, Training, fit

_FORMATS: dict[Layout, torch.memory_format] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
_log = logging.getLogger("raylt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What one process trains with, made by `build`."""

    recipe: Recipe
    device: torch.device
    splits: Splits
    """The test images are sealed."""
    method: _base.Method
    step: nn.Module
    """What is called for the loss terms."""
    optimizer: torch.optim.Optimizer
    batches: Batches
    execution: Execution
    """How the steps are computed."""

    def epochs(self, batches: Training, *, start: int) -> Iterator[Epoch]:
        """Train on `batches` from epoch `start`, counted from 0, and yield after each epoch."""
        return fit(
            self.method,
            self.step,
            batches,
            self.optimizer,
            learning_rate=_learning_rate(self.recipe, batches.steps),
            autocast=autocast(self.execution, self.device),
            start=start,
            epochs=self.recipe.epochs,
        )


def build(
    recipe: Recipe, *, root: Path, device: torch.device, execution: Execution | None = None
) -> Parts:
    """The untrained parts of a run on a device, for this process of it; without an execution its
    steps are computed in the way in which nothing is measured."""
    if execution is None:
        execution = as_given(recipe, device)
    use_threads(execution, device)
    splits = splits_of(recipe, root)
    method = method_of(recipe, splits, device, root=root, layout=execution.layout)
    return Parts(
        recipe=recipe,
        device=device,
        splits=splits,
        method=method,
        step=step_of(method, execution, device),
        optimizer=optimizer_of(recipe, method),
        batches=_batches(recipe, splits, method, device, execution),
        execution=execution,
    )


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


def splits_of(recipe: Recipe, root: Path) -> Splits:
    """The images of a recipe; training has no way to those of the test."""
    return _read(recipe.data.model_dump_json(), root)


@functools.lru_cache(maxsize=2)
def _read(data: str, root: Path) -> Splits:
    # A reused process trains many recipes on the same images: they are read once, never changed.
    config = plugins.config("datasets", json.loads(data)["name"]).model_validate_json(data)
    assert isinstance(config, DatasetConfig)
    # Only `trial.evaluation.test_score` reads the test images.
    return dataclasses.replace(datasets.load(config, root), test=Sealed())


def method_of(
    recipe: Recipe,
    splits: Splits,
    device: torch.device,
    *,
    root: Path | None = None,
    layout: Layout = "channels_last",
) -> _base.Method:
    """The untrained method of a recipe on a device; its weights are a function of the seed.

    Args:
        root: Folder of the datasets, from which an encoder that begins trained has its weights;
            None where a checkpoint has them all, and nothing is to be read or downloaded.
    """
    # The weights are drawn on the CPU, so that they are the same on every device.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        encoder = encoders.build(
            recipe.encoder if root is not None else encoders.untrained(recipe.encoder),
            channels=splits.shape[0],
            size=recipe.size,
            mean=splits.mean,
            std=splits.std,
            root=root or Path(),
        )
        method = _base.build(recipe.method, encoder, splits.train_counts)
    return method.to(device=device, memory_format=_FORMATS[layout])  # pyright: ignore[reportCallIssue]


def optimizer_of(recipe: Recipe, method: _base.Method) -> torch.optim.Optimizer:
    """The optimizer of a recipe for a method."""
    return optim.optimizer(
        method, **recipe.optimizer.model_dump(exclude={"batch_size", "drop_last"})
    )


def step_of(method: _base.Method, execution: Execution, device: torch.device) -> nn.Module:
    """What is called for the loss terms: the method, compiled, or DDP around it."""
    if collectives.world() == 1:
        return Compiled(method) if execution.compile else method
    if execution.compile and collectives.rank() == 0:
        _log.warning("steps of several workers are not compiled, and run as they are")
    collectives.synchronise_norms(method)
    ids = [device] if device.type == "cuda" else None
    # Every buffer is computed alike on every worker, so none has to be sent.
    return DistributedDataParallel(method, device_ids=ids, broadcast_buffers=False)


def _batches(
    recipe: Recipe,
    splits: Splits,
    method: _base.Method,
    device: torch.device,
    execution: Execution,
) -> Batches:
    return Batches(
        splits.train,
        views=method.views(recipe.method),
        size=recipe.size,
        params=recipe.augment,
        batch_size=recipe.optimizer.batch_size,
        drop_last=recipe.optimizer.drop_last,
        seed=recipe.seed,
        device=device,
        rank=collectives.rank(),
        world=collectives.world(),
        channels_last=execution.layout == "channels_last",
    )


def _learning_rate(recipe: Recipe, steps: int) -> Callable[[int], float]:
    return functools.partial(
        optim.learning_rate,
        steps=steps,
        epochs=recipe.epochs,
        peak=recipe.optimizer.lr,
        **recipe.schedule.model_dump(),
    )


def as_given(recipe: Recipe, device: torch.device) -> Execution:
    """How a recipe's steps are computed where nothing is measured.

    What the recipe leaves open is as version 0.1.0 took it: bfloat16 on GPUs that have it and on
    CPUs with AMX tiles, and nothing is compiled.
    """
    precision = recipe.precision
    if precision == "auto":
        precision = "bfloat16" if _has_bfloat16(device) else "float32"
    return Execution(
        machine=kind_of(device),
        step=choice.step_of(recipe, recipe.optimizer.batch_size // collectives.world()),
        precision=precision,
        layout="channels_last",
        threads=torch.get_num_threads() if device.type == "cpu" else 0,
        compile=recipe.compile is True,
    )


def kind_of(device: torch.device) -> str:
    """The model of a GPU or of this machine's processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else choice.processor()


def use_threads(execution: Execution, device: torch.device) -> None:
    """Let torch compute with the threads of an execution, where the device is a CPU."""
    if device.type == "cpu" and torch.get_num_threads() != execution.threads:
        torch.set_num_threads(execution.threads)


def memory_format(execution: Execution) -> torch.memory_format:
    """How images lie in memory."""
    return _FORMATS[execution.layout]


def autocast(
    execution: Execution, device: torch.device
) -> Callable[[], AbstractContextManager[None]]:
    """Opens the context in which a forward pass runs."""
    if execution.precision == "float32":
        return contextlib.nullcontext
    return functools.partial(torch.autocast, device.type, dtype=torch.bfloat16)  # pyright: ignore[reportReturnType]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
