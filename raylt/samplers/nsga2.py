"""NSGA-II (Deb et al., 2002), for several objectives."""

from __future__ import annotations

from typing import Literal

import optuna

from raylt.schema import LearningConfig


class Config(LearningConfig):
    """The settings of the sampler."""

    name: Literal["nsga2"] = "nsga2"
    """The sampler."""


def build(config: Config, *, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has."""
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=max(4, config.startup))
