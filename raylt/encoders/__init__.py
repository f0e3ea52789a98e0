"""One file, one family of encoders: its `NAMES`, and `build`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylt import plugins

if TYPE_CHECKING:
    from raylt.nn.encoder import Encoder


def names() -> tuple[str, ...]:
    """Every encoder, family by family; torch is not imported."""
    return tuple(_families())


def build(
    name: str, *, channels: int, size: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> Encoder:
    """An encoder with fresh weights from torch's generator.

    Args:
        name: One of `names()`.
        channels: Channels of an image.
        size: Height and width of an image.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel, for pixels in [0, 1].
    """
    # A recipe checks names on machines where importing torch would take most of the time.
    from raylt.nn.encoder import Encoder

    family = plugins.module("encoders", _families()[name])
    network, width = family.build(name, channels=channels, size=size)
    return Encoder(network, width=width, mean=mean, std=std)


def _families() -> dict[str, str]:
    """Name of an encoder -> name of its file."""
    return {
        name: family
        for family in plugins.names("encoders")
        for name in plugins.declared("encoders", family, "NAMES")
    }
