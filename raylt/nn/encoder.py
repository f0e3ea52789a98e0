"""What every encoder is: images in [0, 1] -> features, and the pixels are normalised first."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raylt.schema import InputError


class Encoder(nn.Module):
    """A network behind the normalisation of its pixels.

    Args:
        network: Normalised images (n, channels, size, size) -> features (n, width).
        mean: Mean of each channel, for pixels in [0, 1]; grey images become as many alike.
        std: Standard deviation of each channel, for pixels in [0, 1].
        frozen: Whether the network stays as it is, statistics of its norms included.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        width: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.width = width
        self.frozen = frozen
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        if frozen:
            network.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Encoder:
        """Switch between training and evaluation; a frozen network is always evaluated."""
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self

    def forward(
        self, images: Float[Tensor, "image channel height width"]
    ) -> Float[Tensor, "image feature"]:
        """Features of images with pixels in [0, 1]."""
        return self.network((images - self.mean) / self.std)


def width_of(network: nn.Module, name: str, *, channels: int, size: int) -> int:
    """The features of an image, once the network has taken one.

    Raises:
        InputError: it does not take images of this size, or makes no vector of one.
    """
    try:
        with torch.no_grad():
            features = network.eval()(torch.zeros(1, channels, size, size))
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"encoder: {name} must take images of {size}x{size} pixels, but does not: {reason}; "
            f"change size"
        ) from error
    finally:
        network.train()
    if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != 1:
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise InputError(
            f"encoder: {name} must make a vector of each image, but made {shape} of one; average "
            f"over its places"
        )
    return features.shape[1]


def without_chance(network: nn.Module) -> None:
    """Switch dropout and stochastic depth off in a network, in place.

    They would draw from torch's generator, and a run that is resumed would be another one; the
    branches of SDCLR must differ by its masks alone.
    """
    for module in network.modules():
        drops = isinstance(module, nn.modules.dropout._DropoutNd)  # pyright: ignore[reportPrivateUsage]
        if drops or type(module).__name__ == "StochasticDepth":
            module.p = 0.0  # pyright: ignore[reportArgumentType]
        elif type(module).__name__ == "DropPath":
            module.drop_prob = 0.0  # pyright: ignore[reportArgumentType]
        elif isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
