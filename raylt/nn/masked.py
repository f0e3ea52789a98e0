"""The self-competitor of SDCLR: the same network with a part of its weights hidden."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call

Masks = tuple[Bool[Tensor, "*_"], ...]
"""One for each weight, of its shape; false where the weight is hidden."""


def magnitude_masks(weights: Sequence[Float[Tensor, "*_"]], ratio: float) -> Masks:
    """Masks that hide the share `ratio` of all entries together: those of least magnitude.

    With N entries, ceil(ratio * N) are hidden; entries that tie with the smallest one that is kept
    are kept as well, and one is kept at least (Jiang et al., ICML 2021).
    """
    magnitudes = torch.cat([weight.detach().flatten().abs() for weight in weights])
    hidden = math.ceil(ratio * len(magnitudes))
    threshold = _in_order(magnitudes, min(hidden, len(magnitudes) - 1))
    return tuple(weight.detach().abs() >= threshold for weight in weights)


def random_masks(
    weights: Sequence[Float[Tensor, "*_"]],
    *,
    magnitude: float,
    random: float,
    generator: torch.Generator,
) -> Masks:
    """Masks that hide the share `magnitude` by magnitude, and `random` more by chance.

    The random pruning of SDCLR's ablation (Jiang et al., ICML 2021) and its mixtures. After the
    magnitude masks every entry, hidden or not, is hidden with such a probability that
    the expected share is the sum of both.

    Args:
        weights: The weights.
        magnitude: Share that is hidden by magnitude.
        random: Share that is hidden by chance.
        generator: A generator of the CPU, whatever the weights lie on, so that all workers draw
            the same numbers.
    """
    total = sum(weight.numel() for weight in weights)
    # Rounding up may leave nothing of a tiny network.
    left = max(total - math.ceil(magnitude * total), 1)
    probability = math.ceil(random * total) / left
    return tuple(
        mask & (torch.rand(mask.shape, generator=generator) >= probability).to(mask.device)
        for mask in magnitude_masks(weights, magnitude)
    )


def _in_order(values: Float[Tensor, " n"], place: int) -> Tensor:
    """The value at the 0-based `place` in ascending order, a scalar."""
    if values.device.type == "cpu":
        # Eight times as fast as kthvalue on 11 million weights.
        return torch.from_numpy(np.partition(values.numpy(), place))[place]
    return values.kthvalue(place + 1).values


class Competitor(nn.Module):
    """The competing branch of stages that lie in sequence, such as an encoder and its head.

    Pruning is data: a mask hides entries of each convolution's weight, everything else is shared
    with the dense branch. The gradient to a hidden entry is zero.

    Args:
        stages: The modules of the dense branch, called one after another.
        own_norms: Whether every batch norm has a second set of parameters and running statistics
            for this branch; otherwise both branches share, and both update, one set.
    """

    def __init__(self, *stages: nn.Module, own_norms: bool) -> None:
        super().__init__()
        # A tuple does not register them: their weights belong to the dense branch.
        self._stages = stages
        self.masks = nn.Module()
        self.norms = nn.ModuleDict()
        for number, stage in enumerate(stages):
            for path, module in stage.named_modules():
                key = _key(number, path)
                if isinstance(module, nn.Conv2d):
                    everything = torch.ones_like(module.weight, dtype=torch.bool)
                    self.masks.register_buffer(key, everything)
                elif own_norms and isinstance(module, nn.modules.batchnorm._BatchNorm):  # pyright: ignore[reportPrivateUsage]
                    self.norms[key] = copy.deepcopy(module)

    def weights(self) -> list[Tensor]:
        """The weights that may be hidden, in the order of their masks."""
        return [
            module.weight
            for stage in self._stages
            for module in stage.modules()
            if isinstance(module, nn.Conv2d)
        ]

    def hide(self, masks: Masks) -> None:
        """Hide what is false in `masks`, in the order of `weights()`, and nothing else."""
        for buffer, mask in zip(self.masks.buffers(), masks, strict=True):
            buffer.copy_(mask)

    def forward(self, inputs: Tensor) -> Tensor:
        """What the stages make of `inputs` with the hidden weights at zero."""
        for number, stage in enumerate(self._stages):
            inputs = functional_call(stage, self._replaced(number, stage), (inputs,))
        return inputs

    def _replaced(self, number: int, stage: nn.Module) -> dict[str, Tensor]:
        """Tensors of one stage that are different in this branch, by their path in the stage."""
        masks = dict(self.masks.named_buffers())
        replaced: dict[str, Tensor] = {}
        for path, module in stage.named_modules():
            key = _key(number, path)
            if key in masks:
                assert isinstance(module, nn.Conv2d)
                replaced[f"{path}.weight"] = torch.where(masks[key], module.weight, 0)
            elif key in self.norms:
                norm = self.norms[key]
                for name, tensor in (*norm.named_parameters(), *norm.named_buffers()):
                    replaced[f"{path}.{name}"] = tensor
        return replaced


def _key(stage: int, path: str) -> str:
    # Names of buffers and of modules must not contain a dot.
    return f"{stage}/{path.replace('.', '/')}"
