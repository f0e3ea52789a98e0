"""What stands on an encoder: projection heads and classifiers."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from raylt.contrast import unit


def projection(width: int, *, depth: Literal[2, 3], out_dim: int) -> nn.Sequential:
    """SDCLR's projection head: features (n, width) -> (n, out_dim), of any length.

    The released programs use depth 2 for SimCLR and depth 3 for SDCLR. Only the first layer has a
    bias, and the output is normalised over the batch too.
    """
    layers: list[nn.Module] = [nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(True)]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(True)]
    layers += [nn.Linear(width, out_dim, bias=False), nn.BatchNorm1d(out_dim)]
    return nn.Sequential(*layers)


def perceptron(width: int, *, hidden_dim: int, out_dim: int) -> nn.Sequential:
    """BCL's head for features and for prototypes: (n, width) -> (n, out_dim), of any length."""
    return nn.Sequential(
        nn.Linear(width, hidden_dim),
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(True),
        nn.Linear(hidden_dim, out_dim),
    )


class CosineClassifier(nn.Module):
    """Logits are `scale` times the cosine between a feature and the vector of a class, 30 times in
    BCL's program."""

    def __init__(self, width: int, classes: int, *, scale: float) -> None:
        super().__init__()
        self.scale = scale
        vectors = torch.empty(classes, width).uniform_(-1, 1)
        self.weight = nn.Parameter(functional.normalize(vectors, dim=1))

    def forward(self, features: Float[Tensor, "image feature"]) -> Float[Tensor, "image class"]:
        """Logits of features, in float32 at least: at 20 a step of bfloat16 is 0.125."""
        with torch.autocast(features.device.type, enabled=False):
            return self.scale * functional.linear(unit(features), unit(self.weight))


def classifier(
    width: int, classes: int, *, kind: Literal["linear", "cosine"], scale: float, bias: bool
) -> nn.Linear | CosineClassifier:
    """A classifier whose `weight` holds one vector of `width` numbers for each class."""
    if kind == "cosine":
        return CosineClassifier(width, classes, scale=scale)
    return nn.Linear(width, classes, bias=bias)
