"""What every encoder is made by: its name, and where its weights come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from pydantic import Field, field_validator, model_validator

from raylt.encoders import _libraries
from raylt.schema import Frozen

if TYPE_CHECKING:
    from torch import nn


class EncoderConfig(Frozen):
    """An encoder with a choice of weights; its name alone may stand for it."""

    name: str = Field(examples=["resnet18"])
    """The encoder: one of raylt's, torchvision/NAME, or timm/NAME with the package timm."""
    pretrained: bool = False
    """Whether it begins with the weights that its library publishes, downloaded once."""
    weights: str | None = None
    """File of weights to begin with, below the data root: safetensors, a state dict that torch
    saved, or a folder that `raylt export` wrote."""
    freeze: bool = False
    """Whether the encoder stays as it begins, statistics of its norms included."""
    mean: tuple[float, ...] | None = Field(default=None, strict=False)
    """Mean of each channel that pixels in [0, 1] are normalised with; where it is left out the one
    that the weights were trained with, and the dataset's where they begin at random."""
    std: tuple[float, ...] | None = Field(default=None, strict=False)
    """Standard deviation of each channel, for pixels in [0, 1]; goes with `mean`."""

    _known = field_validator("name")(_libraries.known)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.pretrained and not _libraries.library(self.name):
            raise ValueError(
                f"pretrained must be false for {self.name}, whose weights nobody publishes, but "
                f"got true; name a file with weights, or take torchvision/NAME or timm/NAME"
            )
        if self.pretrained and self.weights is not None:
            raise ValueError(
                f"weights must be left out beside pretrained, but got {self.weights}; remove one"
            )
        if self.freeze and not self.begins_trained:
            raise ValueError(
                "freeze must be false for an encoder that begins at random, but got true; add "
                "pretrained or weights"
            )
        if (self.mean is None) != (self.std is None):
            missing = "mean" if self.mean is None else "std"
            raise ValueError(
                f"{missing} must be given beside {'std' if self.mean is None else 'mean'}, but is "
                f"missing; add it, or remove both"
            )
        if min(self.std or (1.0,)) <= 0:
            raise ValueError(f"std must be > 0, but got {min(self.std or ())}; leave it out")
        return self

    @property
    def begins_trained(self) -> bool:
        """Whether its weights were trained before."""
        return self.pretrained or self.weights is not None

    @property
    def is_plain(self) -> bool:
        """Whether it is one of raylt's own that begins at random."""
        return not self.begins_trained and self.name in _libraries.families()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network without its classifier, as a library makes it."""

    module: nn.Module
    """Normalised images (n, 3, size, size) -> features (n, width)."""
    classifier: tuple[str, ...]
    """Paths of the layers that were taken off."""
    mean: tuple[float, ...]
    """Mean of each channel that the library's weights want."""
    std: tuple[float, ...]
    """Standard deviation of each channel that they want."""
