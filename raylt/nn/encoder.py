"""What every encoder is: images in [0, 1] -> features, and the pixels are normalised first."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module):
    """A network behind the normalisation of its pixels.

    Args:
        network: Normalised images (n, channels, size, size) -> features (n, width).
        width: Features of an image.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, for pixels in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, *, width: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        super().__init__()
        self.network = network
        self.width = width
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(
        self, images: Float[Tensor, "image channel height width"]
    ) -> Float[Tensor, "image feature"]:
        """Features of images with pixels in [0, 1]."""
        return self.network((images - self.mean) / self.std)
