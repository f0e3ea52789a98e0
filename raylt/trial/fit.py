"""The loop: a generator of one Epoch record each. It knows no Ray, no files and no method."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.profiler import record_function

from raylt import collectives
from raylt.data.batches import Batch
from raylt.methods._base import Method


class Diverged(RuntimeError):
    """A loss became NaN or infinite; the run cannot go on."""


class Training(Protocol):
    """A training set as it is gone through, such as `raylt.data.batches.Batches`."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        ...

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number`, counted from 0."""
        ...


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training set left behind."""

    number: int
    """Finished epochs, from 1."""
    losses: dict[str, float]
    """Mean of each weighted loss term over the epoch's steps and workers."""
    learning_rate: float
    """Learning rate of the last step."""
    images: int
    """Images seen, over all workers."""
    seconds: float
    """Wall-clock time of the epoch's training."""


def fit(
    method: Method,
    step: nn.Module,
    batches: Training,
    optimizer: torch.optim.Optimizer,
    *,
    learning_rate: Callable[[int], float],
    autocast: Callable[[], AbstractContextManager[None]],
    start: int,
    epochs: int,
) -> Iterator[Epoch]:
    """Train from epoch `start` (0-based) and yield after each epoch.

    Nothing is read back from the device inside an epoch: the losses are summed there and looked
    at once, at its end.

    Args:
        method: The method, for its hook before each epoch.
        step: What is called for the loss terms: the method itself, or DDP around it.
        learning_rate: Learning rate of a global step, counted from 0 over the whole run.
        autocast: Opens the context in which the forward pass runs.
        start: Epochs already done.

    Raises:
        Diverged: a loss term is not finite.
    """
    for number in range(start, epochs):
        began = time.perf_counter()
        method.train()
        method.begin_epoch(number)
        rate, images, steps = 0.0, 0, 0
        total: dict[str, torch.Tensor] = {}
        for batch in _named(batches.epoch(number)):
            rate = learning_rate(number * batches.steps + steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            terms = descend(step, batch.views, batch.labels, optimizer, autocast)
            for name, term in terms.items():
                total[name] = total.get(name, 0) + term.detach()
            images += len(batch.labels) * collectives.world()
            steps += 1
        losses = _mean_over_steps(total, steps)
        _require_finite(losses, number + 1)
        yield Epoch(number + 1, losses, rate, images, time.perf_counter() - began)


def descend(
    step: nn.Module,
    views: Sequence[torch.Tensor],
    labels: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    autocast: Callable[[], AbstractContextManager[None]],
) -> Mapping[str, torch.Tensor]:
    """One step: forward, backward, optimizer; returns the loss terms."""
    with record_function("raylt/forward"), autocast():
        terms: Mapping[str, torch.Tensor] = step(views, labels)
    with record_function("raylt/backward"):
        torch.stack(tuple(terms.values())).sum().backward()
    with record_function("raylt/optimizer"):
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return terms


def _named(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches as they are; the making of each has a name in a profile."""
    while True:
        with record_function("raylt/augmentation"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _mean_over_steps(total: dict[str, torch.Tensor], steps: int) -> dict[str, float]:
    # One transfer for all terms, after the epoch's last step.
    sums = collectives.mean(torch.stack(tuple(total.values())) / steps).tolist()
    return dict(zip(total, sums, strict=True))


def _require_finite(losses: dict[str, float], epoch: int) -> None:
    broken = {name: value for name, value in losses.items() if not math.isfinite(value)}
    if broken:
        raise Diverged(
            f"every loss term must stay finite, but in epoch {epoch} "
            + ", ".join(f"{name} became {value}" for name, value in broken.items())
            + "; lower optimizer.lr or raise the temperature"
        )
