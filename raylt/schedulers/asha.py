"""ASHA, asynchronous successive halving (Li et al., 2020): no trial waits for another."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from ray.tune.schedulers import AsyncHyperBandScheduler

from raylt.schedulers._base import Fair, options
from raylt.schema import StoppingConfig


class Config(StoppingConfig):
    """The settings of ASHA."""

    name: Literal["asha"] = "asha"
    """The scheduler."""
    factor: int = Field(default=3, ge=2)
    """One in this many trials survives a rung; for `asha` and `hyperband`."""


class Asha(Fair, AsyncHyperBandScheduler):
    """ASHA, fair to trials that are taken up again."""


def build(config: Config, *, metric: str, mode: str, epochs: int) -> Asha:
    """ASHA over trials of up to `epochs`, on a metric that is better in the direction `mode`."""
    return Asha(
        **options(config, metric=metric, mode=mode),
        reduction_factor=config.factor,
        # One more than there are: a trial that runs to its end is not "stopped".
        max_t=epochs + 1,
    )
