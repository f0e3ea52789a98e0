"""A Gaussian process."""

from __future__ import annotations

from typing import Literal

import optuna

from raylt.schema import LearningConfig


class Config(LearningConfig):
    """The settings of the sampler."""

    name: Literal["gp"] = "gp"
    """The sampler."""


def build(config: Config, *, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has."""
    return optuna.samplers.GPSampler(
        seed=seed, n_startup_trials=config.startup, deterministic_objective=False
    )
