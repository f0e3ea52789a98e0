"""What several benchmarks train: methods by their recipes, fixed batches, the digits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raylt import encoders, optim, recipe
from raylt.data.batches import Batch
from raylt.methods import _base
from raylt.recipe import Recipe
from raylt.sections import Augment
from raylt.trial import worker
from raylt.trial.fit import fit

PARAMS = Augment(
    crop=0.1, resample="bicubic", flip=0.5, jitter=1.0, grey=0.2, blur=0.0, rotate=0.0, shear=0.0
)
"""The looks of a view that the benchmarks time."""

Context = Callable[[], AbstractContextManager[Any]]


def digits(
    name: str,
    *,
    encoder: str = "small",
    size: int,
    epochs: int,
    precision: str = "float32",
    seed: int = 0,
    imbalance: float = 20.0,
    lr: float = 0.3,
    batch_size: int = 128,
    **evaluation: Any,
) -> Recipe:
    """The digits; scored once, at the end."""
    return recipe.parse(
        {
            "data": {"name": "digits", "imbalance": imbalance},
            "method": {"name": name},
            "encoder": encoder,
            "size": size,
            "augment": {"crop": 0.6, "flip": 0.0, "jitter": 0.5, "grey": 0.0},
            "optimizer": {"lr": lr, "batch_size": batch_size},
            "evaluation": {"labels": "balanced", "every": epochs, **evaluation},
            "epochs": epochs,
            "precision": precision,
            "seed": seed,
        }
    )


def method(
    name: str,
    encoder: str,
    *,
    classes: int,
    size: int,
    device: torch.device,
    channels_last: bool,
) -> _base.Method:
    """A method with fresh weights for colour images; the defaults of its Config."""
    torch.manual_seed(0)
    network = encoders.build(encoder, channels=3, size=size, mean=(0.5,) * 3, std=(0.25,) * 3)
    made = _base.build(
        _base.named(name).Config.model_validate({"name": name}),
        network,
        [500 - 4 * i for i in range(classes)],
    )
    memory = torch.channels_last if channels_last else torch.contiguous_format
    return made.to(device=device, memory_format=memory)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Fixed:
    """The same batch in every step, in the place of `raylt.data.batches.Batches`."""

    batch: Batch
    steps: int

    def epoch(self, number: int) -> Iterator[Batch]:
        for _ in range(self.steps):
            yield self.batch


def batch(
    views: int, *, n: int, size: int, classes: int, device: torch.device, channels_last: bool
) -> Batch:
    """Random colour images."""
    generator = torch.Generator().manual_seed(0)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    made = tuple(
        torch.rand(n, 3, size, size, generator=generator).to(device, memory_format=memory)
        for _ in range(views)
    )
    return Batch(made, torch.randint(classes, (n,), generator=generator).to(device))


def steps(
    made: _base.Method, fixed: Fixed, autocast: Context, step: nn.Module | None = None
) -> Callable[[], None]:
    """raylt's own loop over `fixed.steps` steps, as work to be timed; `step` is what is called
    for the loss terms, the method itself where None."""
    optimizer = optim.optimizer(
        made, name="sgd", lr=0.01, momentum=0.9, weight_decay=1e-4, decay_norms=True
    )
    called = made if step is None else step

    def work() -> None:
        for _ in fit(
            made,
            called,
            fixed,
            optimizer,
            learning_rate=lambda step: 0.01,  # type: ignore[arg-type]
            autocast=autocast,
            start=0,
            epochs=1,
        ):
            pass

    return work


def halved(device: torch.device) -> Context:
    """bfloat16 where torch's autocast takes it."""
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16)


whole: Context = contextlib.nullcontext


def trained(of: Recipe, folder: Path) -> dict[str, float]:
    """Metrics at the end of a trial, run here and whole."""
    rows: list[dict[str, float]] = []
    worker.work(of, root=folder, folder=folder, report=rows.append, device="cpu")
    return rows[-1]
