"""The median rule: a trial stops once it is worse than the median of the others so far."""

from __future__ import annotations

import math
from typing import Literal

from ray.tune.schedulers import MedianStoppingRule

from raylt.schedulers._base import Fair, options
from raylt.schema import StoppingConfig

_MEDIAN_OF = 3
"""Trials that must have come as far before the median stops one."""


class Config(StoppingConfig):
    """The settings of the median rule."""

    name: Literal["median"] = "median"
    """The scheduler."""


class Median(Fair, MedianStoppingRule):
    """The rule, fair to trials that are taken up again."""


def build(config: Config, *, metric: str, mode: str, epochs: int) -> Median:
    """The rule on a metric that is better in the direction `mode`."""
    return Median(
        **options(config, metric=metric, mode=mode),
        # No trial is paused to let others catch up: a paused trial loses its process.
        min_time_slice=math.inf,
        min_samples_required=_MEDIAN_OF,
        # Hard, the rule may not be asked again about one that it has stopped: the baseline.
        hard_stop=False,
    )
