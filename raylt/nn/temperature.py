"""The softmax temperature of a contrast as a formula of the epoch."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from raylt.schema import ContrastConfig


def cosine_temperature(epoch: int, *, highest: float, lowest: float, period: int) -> float:
    """Temperature of the 0-based epoch: from `highest` down to `lowest` and back, for ever.

    The schedule TS of Kukleva et al. (ICLR 2023) as in their program, in which T, half the period,
    is 200 epochs, and the temperature swings between 1 and 0.1.
    """
    return lowest + (highest - lowest) * (1 + math.cos(2 * math.pi * epoch / period)) / 2


class Temperature(nn.Module):
    """The temperature of the current epoch, which a method asks for in every step.

    It lies in a buffer, not in a float: a compiled step sees it change, and a run that goes on
    from the middle of an epoch has it.
    """

    value: Float[Tensor, ""]

    def __init__(self, config: ContrastConfig) -> None:
        super().__init__()
        self._config = config
        # In float64, so that it is the configured number to the last digit.
        start = torch.tensor(config.temperature, dtype=torch.float64)
        self.register_buffer("value", start)

    def begin_epoch(self, epoch: int) -> None:
        """Set the temperature of the 0-based `epoch`."""
        config = self._config
        value = config.temperature
        if config.temperature_schedule == "cosine":
            value = cosine_temperature(
                epoch,
                highest=config.temperature,
                lowest=config.temperature_min,
                period=config.temperature_period,
            )
        # Always, for a checkpoint may be of a time when the recipe had another temperature.
        self.value.fill_(value)
