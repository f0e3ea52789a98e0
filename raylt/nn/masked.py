"""The self-competitor of SDCLR: the same network with a part of its weights hidden."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

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

    Pruning is data: a mask hides entries of a weight, everything else is shared with the dense
    branch. The gradient to a hidden entry is zero.

    What can be hidden are the kernels of all convolutions and the weights of all linear layers of
    the first stage, the encoder; a ResNet without its classifier has convolutions only (Jiang et
    al., ICML 2021). In a transformer these are the matrices of the attention, also where torch's
    `MultiheadAttention` packs query, key and value in one, those of the layers between, and the
    convolution that embeds the patches, the counterpart of a ResNet's stem. Never hidden are
    biases, norms, position embeddings, class tokens, tables of relative positions, factors of
    layer scale, and all of the head.

    Args:
        stages: The modules of the dense branch, called one after another.
        own_norms: Whether every norm, over a batch, a layer or groups, has a second set of
            parameters and running statistics for this branch; otherwise both branches share, and
            both update, one set.
    """

    def __init__(self, *stages: nn.Module, own_norms: bool) -> None:
        super().__init__()
        # A tuple does not register them: their weights belong to the dense branch.
        self._stages = stages
        self.masks = nn.Module()
        self.norms = nn.ModuleDict()
        self._paths = tuple(_prunable(stages[0]))
        for path, weight in zip(self._paths, self.weights(), strict=True):
            everything = torch.ones_like(weight, dtype=torch.bool)
            self.masks.register_buffer(buffer_name(0, path.removesuffix(".weight")), everything)
        for number, stage in enumerate(stages if own_norms else ()):
            for path, module in stage.named_modules():
                if _is_norm(module):
                    self.norms[buffer_name(number, path)] = copy.deepcopy(module)

    def weights(self) -> list[Tensor]:
        """The weights that may be hidden, in the order of their masks."""
        return [self._stages[0].get_parameter(path) for path in self._paths]

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
        replaced: dict[str, Tensor] = {}
        if number == 0:
            weights = zip(self._paths, self.weights(), self.masks.buffers(), strict=True)
            replaced = {path: torch.where(mask, weight, 0) for path, weight, mask in weights}
        for path, _ in stage.named_modules() if self.norms else ():
            key = buffer_name(number, path)
            if key in self.norms:
                norm = self.norms[key]
                for name, tensor in (*norm.named_parameters(), *norm.named_buffers()):
                    replaced[f"{path}.{name}"] = tensor
        return replaced


_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)  # pyright: ignore[reportPrivateUsage]
_WEIGHTS = ("weight", "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
"""What convolutions, linear layers and torch's attention call their weights."""


def _prunable(stage: nn.Module) -> Iterator[str]:
    """The paths of the weights of a stage that may be hidden, in the order of its modules."""
    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.MultiheadAttention)  # pyright: ignore[reportPrivateUsage]
    for path, module in stage.named_modules():
        if isinstance(module, kinds):
            own = dict(module.named_parameters(recurse=False))
            yield from (f"{path}.{name}".lstrip(".") for name in _WEIGHTS if name in own)


def _is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm: one of torch's, or one of a library's own, which is called so
    and holds vectors only."""
    if isinstance(module, _NORMS):
        return True
    tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    called_so = "norm" in type(module).__name__.lower()
    return called_so and len(tensors) > 0 and all(tensor.dim() <= 1 for tensor in tensors)


def buffer_name(stage: int, path: str) -> str:
    """The name of what belongs to a place in a stage; those of buffers must not contain a dot."""
    return f"{stage}/{path.replace('.', '/')}"
