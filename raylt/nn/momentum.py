"""What MoCo keeps beside a network: a copy that follows its weights, and keys of earlier steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from raylt.collectives import gather
from raylt.nn.masked import buffer_name

NOBODY = -1
"""The class of a place of the queue that no key has taken yet."""


class Follower(nn.Module):
    """A copy of stages that lie in sequence, such as an encoder and its head, which is not trained
    but follows their weights slowly: at each step the share `momentum` of it stays (He et al.,
    CVPR 2020).

    Its weights are buffers, so that optimizers and DDP pass them by. Its norms keep running
    statistics of their own. The released programs shuffle the images over the GPUs, so that no
    batch norm sees a query and its key together; with norms over all workers that changes nothing.
    """

    def __init__(self, *stages: nn.Module, momentum: float) -> None:
        super().__init__()
        # A tuple does not register them: their weights belong to the trained branch.
        self._stages = stages
        self._momentum = momentum
        self.copies = nn.Module()
        for number, stage in enumerate(stages):
            for path, tensor in _tensors(stage):
                self.copies.register_buffer(buffer_name(number, path), tensor.detach().clone())

    @torch.no_grad()
    def follow(self) -> None:
        """One step towards the weights as they are now."""
        for number, stage in enumerate(self._stages):
            for path, weight in stage.named_parameters():
                copy = self.copies.get_buffer(buffer_name(number, path))
                copy.lerp_(weight, 1 - self._momentum)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        """What the copied stages make of `inputs`, without gradient."""
        for number, stage in enumerate(self._stages):
            copies = {
                path: self.copies.get_buffer(buffer_name(number, path))
                for path, _ in _tensors(stage)
            }
            inputs = functional_call(stage, copies, (inputs,))
        return inputs


class Queue(nn.Module):
    """The keys of the last steps and their classes; the oldest make room.

    It begins with noise of the class `NOBODY`. All workers hold the same.
    """

    keys: Float[Tensor, "place dim"]
    labels: Int[Tensor, " place"]
    oldest: Int[Tensor, ""]
    """The place of the key that goes next."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", functional.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("labels", torch.full((size,), NOBODY))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))

    def read(self) -> tuple[Float[Tensor, "place dim"], Int[Tensor, " place"]]:
        """The keys and their classes, which later steps do not change."""
        return self.keys.clone(), self.labels.clone()

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "image dim"], labels: Int[Tensor, " image"]) -> None:
        """Take in this worker's keys and those of all others."""
        size = len(self.keys)
        keys, labels = gather(keys)[-size:], gather(labels)[-size:]
        places = (self.oldest + torch.arange(len(keys), device=keys.device)) % size
        self.keys.index_copy_(0, places, keys.to(self.keys.dtype))
        self.labels.index_copy_(0, places, labels)
        self.oldest.add_(len(keys)).remainder_(size)


def _tensors(stage: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from stage.named_parameters()
    yield from stage.named_buffers()
