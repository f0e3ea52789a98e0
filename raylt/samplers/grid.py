"""All combinations, in the order of the file; the study queues them when it begins."""

from __future__ import annotations

from typing import Literal

import optuna

from raylt.schema import SamplerConfig


class Config(SamplerConfig):
    """The settings of the sampler."""

    name: Literal["grid"] = "grid"
    """The sampler."""


def build(config: Config, *, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has."""
    return optuna.samplers.RandomSampler(seed=seed)
