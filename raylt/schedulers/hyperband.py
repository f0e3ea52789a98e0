"""HyperBand (Li et al., 2018) of the asynchronous kind: several ASHA brackets side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from ray.tune.schedulers import AsyncHyperBandScheduler

from raylt.schedulers._base import Fair, options
from raylt.schema import StoppingConfig

BRACKETS = 3
"""Grace periods that the trials are spread over: grace, grace x factor, ..."""


class Config(StoppingConfig):
    """The settings of HyperBand."""

    name: Literal["hyperband"] = "hyperband"
    """The scheduler."""
    factor: int = Field(default=3, ge=2)
    """One in this many trials survives a rung; for `asha` and `hyperband`."""

    def patience(self) -> int:
        """The most patient bracket has the grace that other schedulers have."""
        return super().patience() * self.factor ** (BRACKETS - 1)


class Hyperband(Fair, AsyncHyperBandScheduler):
    """HyperBand, fair to trials that are taken up again."""


def build(config: Config, *, metric: str, mode: str, epochs: int) -> Hyperband:
    """HyperBand over trials of up to `epochs`, on a metric that is better in the direction
    `mode`."""
    return Hyperband(
        **options(config, metric=metric, mode=mode),
        reduction_factor=config.factor,
        brackets=BRACKETS,
        # One more than there are: a trial that runs to its end is not "stopped".
        max_t=epochs + 1,
    )
