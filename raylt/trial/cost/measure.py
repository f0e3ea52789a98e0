"""A few measured steps of a recipe: `python -m raylt.trial.cost.measure`, a task on its input.

A process of its own, so that the memory it held at most is that of one trial.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from raylt import recipe as recipes
from raylt import scratch
from raylt.data.batches import Batch, Batches
from raylt.plugins import outside
from raylt.recipe import Recipe
from raylt.schema import RayltError
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.cost.cost import Cost
from raylt.trial.evaluation.score import score
from raylt.trial.execution import cache, fastest
from raylt.trial.fit import Diverged
from raylt.trial.worker import Parts

_WARM = 3
"""Steps that are not counted: they compile, tune and allocate."""
_STEPS = 40
"""Steps that are enough."""
_SECONDS = 5.0
"""Seconds after which fewer are enough."""
_FEWEST = 4
"""Steps that are counted however long they take."""


class _Few:
    """The first batches of a training set, with the moment at which each was ready."""

    def __init__(self, batches: Batches, device: torch.device) -> None:
        self._batches = batches
        self._device = device
        self._ready: list[float] = []
        self.began = 0.0
        """When the first step that counts began."""

    @property
    def steps(self) -> int:
        return self._batches.steps

    @property
    def counted(self) -> int:
        """Steps that count."""
        return len(self._ready) - _WARM

    @property
    def enough(self) -> bool:
        if self.counted < _FEWEST:
            return False
        return self.counted >= _STEPS or self._ready[-1] - self.began > _SECONDS

    @property
    def first(self) -> float:
        """When the first batch was ready."""
        return self._ready[0]

    def epoch(self, number: int) -> Iterator[Batch]:
        batches = self._batches.epoch(number)
        while True:
            # Before the batch is made, which is a part of its step. Only here and at the end is
            # the device waited for: a step may overlap the next.
            if self.counted == 0:
                self.began = _now(self._device)
            batch = next(batches, None)
            if batch is None:
                return
            self._ready.append(time.perf_counter())
            yield batch
            if self.enough:
                return


def measure(recipe: Recipe, *, root: Path, device: str | None) -> Cost:
    """Train a few steps, score once and write a checkpoint; nothing of it stays."""
    began = time.perf_counter()
    where = parts.device_of(device)
    # An epoch may be a single step, and all of them are to be real ones.
    longer = recipe.model_copy(update={"epochs": max(recipe.epochs, _WARM + _STEPS)})
    execution = fastest.choose(recipe, root=root, device=where, began=None)
    run = parts.build(longer, root=root, device=where, execution=execution)
    few = _Few(run.batches, where)
    with _watch(where) as watch, contextlib.suppress(Diverged):
        # A setting that diverges at once costs as much as one that does not.
        for _ in run.epochs(few, start=0):
            if few.enough:
                break
    trained = _now(where)
    score(run.method, run.splits, run.splits.validation, recipe, device=where)
    scored = _now(where)
    size = _save(run)
    saved = _now(where)
    trained_for = trained - few.began
    cuda = where.type == "cuda"
    return Cost(
        start=few.first - began,
        epoch=trained_for / few.counted * few.steps,
        score=scored - trained,
        save=saved - scored,
        disk=(checkpoint.KEPT + 1) * size,  # and the best one
        memory=_peak(),
        gpu_memory=_held(where) if cuda else 0,
        gpu_size=torch.cuda.get_device_properties(where).total_memory if cuda else 0,
        gpu_busy=min(1.0, _gpu_seconds(watch, few) / trained_for) if cuda else 0.0,
        device=torch.cuda.get_device_name(where) if cuda else "cpu",
        steps=f"{execution.step} on {execution.machine}: {execution}",
    )


def _now(device: torch.device) -> float:
    """The clock, once the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _watch(device: torch.device) -> contextlib.AbstractContextManager[profile | None]:
    if device.type != "cuda":
        return contextlib.nullcontext()
    return profile(activities=[ProfilerActivity.CUDA])


def _gpu_seconds(watch: profile | None, few: _Few) -> float:
    """Seconds in which the GPU ran kernels for the steps that count."""
    assert watch is not None
    kernels = sum(
        event.self_device_time_total
        for event in watch.key_averages()
        # The loop's own phases lie over the kernels and would count them twice.
        if not event.is_user_annotation
    )
    # The warm-up runs the same kernels.
    return kernels / 1e6 * few.counted / (few.counted + _WARM)


def _save(run: Parts) -> int:
    """Bytes of a checkpoint of the run."""
    with (
        scratch.folder("measure") as folder,
        checkpoint.writing(
            folder,
            epoch=1,
            digest=run.recipe.digest,
            method=run.method,
            optimizer=run.optimizer,
            history=(),
        ) as keep,
    ):
        return keep((), best=False).stat().st_size


def _peak() -> int:
    """Bytes of memory that this process held at most."""
    # The kernel's count of resources would begin with the memory of the process that forked us.
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def _held(device: torch.device) -> int:
    """Bytes of the GPU that this process held at most, with what CUDA needs for itself."""
    free, total = torch.cuda.mem_get_info(device)
    context = max(0, total - free - torch.cuda.memory_reserved(device))
    return torch.cuda.max_memory_reserved(device) + context


def main() -> None:
    """Measure the recipe on standard input and print its cost in one line of JSON."""
    task = json.load(sys.stdin)
    if task["modules"] is not None:
        outside.use(Path(task["modules"]), kept=True)
    try:
        with cache.shared_in(Path(task["runs"])):
            cost = measure(recipes.parse(task["recipe"]), root=Path(task["root"]), device=None)
    except RayltError as error:
        print(json.dumps({"failure": str(error)}))
    else:
        print(json.dumps(dataclasses.asdict(cost)))


if __name__ == "__main__":
    main()
