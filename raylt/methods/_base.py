"""What a method is: one module that turns views and labels into named, weighted loss terms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raylt import plugins
from raylt.nn.encoder import Encoder
from raylt.nn.probe import Fit
from raylt.nn.temperature import Temperature
from raylt.schema import InputError, MethodConfig

Classifier = Callable[[Tensor], Tensor]
"""Images (n, channels, size, size) in [0, 1] -> logits (n, classes)."""


class Method(nn.Module, ABC):
    """The one swappable thing of a training run.

    A life: built once for each trial; `begin_epoch` before each epoch; `forward` once for each
    step, inside `DistributedDataParallel` when a trial has several workers, so everything that
    trains must be used there; `encode` and `classifier` for the scores.

    Args:
        config: The method's own hyperparameters.
        encoder: Images in [0, 1] -> features (n, encoder.width); it normalises the pixels itself.
        class_counts: Training images of each class, (classes,).
    """

    Config: ClassVar[type[MethodConfig]]

    def __init__(self, config: MethodConfig, encoder: Encoder, class_counts: Tensor) -> None:
        super().__init__()
        self.encoder = encoder

    @staticmethod
    @abstractmethod
    def views(config: Any) -> tuple[str, ...]:
        """Names in `raylt.data.augment.VIEWS` of the views that `forward` takes, in order."""

    @abstractmethod
    def forward(self, views: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Weighted loss terms, each a scalar; their sum is what the step descends on.

        Args:
            views: One tensor (n, channels, size, size) in [0, 1] for each name in `views(config)`.
            labels: (n,) class of each image; a self-supervised method ignores it.
        """

    def encode(self, images: Tensor) -> Tensor:
        """Features (n, width) that probes and neighbours see; (n, channels, size, size) in."""
        return self.encoder(images)

    def classifier(self) -> Classifier | None:
        """The method's own images -> logits, or None: a probe on `encode` is fitted."""
        return None

    def probe(self) -> Fit | None:
        """How a method without a classifier fits one on frozen features of its training images,
        whenever it is scored; None: as the recipe's `evaluation` says, on the labels named there.
        """
        return None

    def begin_epoch(self, epoch: int) -> None:
        """Hook before epoch `epoch` (0-based) in training mode; SDCLR renews its mask here, and a
        temperature takes its value for the epoch.

        The device has done the steps of the epoch before, so that what the host must compute, as
        TSC's matching, belongs here; in `forward` it would hold up each step.
        """
        for module in self.children():
            if isinstance(module, Temperature):
                module.begin_epoch(epoch)


def named(name: str) -> type[Method]:
    """The method of that name.

    Raises:
        InputError: there is no such method.
    """
    module, chosen = plugins.module("methods", name), plugins.chosen("methods", name)
    methods = [
        value
        for value in (vars(module).values() if chosen is None else [chosen])
        if isinstance(value, type) and issubclass(value, Method)
    ]
    own = [method for method in methods if chosen or method.__module__ == module.__name__]
    if len(own) != 1:
        raise InputError(
            f"method {name!r} must be one Method of raylt.methods._base, but "
            f"{module.__file__} has {chosen or own}"
        )
    return own[0]


def build(config: MethodConfig, encoder: Encoder, class_counts: Sequence[int]) -> Method:
    """The method that `config` names, with its initial weights drawn from torch's generator."""
    method = named(config.name)
    # A recipe is read with the light part of the method's file (see plugins.config), whose Config
    # is another class of the same content; the method gets its own.
    kind = plugins.named(method.Config, "methods", config.name)
    own = kind.model_validate(config.model_dump())
    assert isinstance(own, MethodConfig)
    return method(own, encoder, torch.tensor(class_counts))
