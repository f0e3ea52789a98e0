"""CMA-ES (Hansen, 2001), which needs the package cmaes."""

from __future__ import annotations

from typing import ClassVar, Literal

import optuna

from raylt.schema import LearningConfig


class Config(LearningConfig):
    """The settings of the sampler."""

    name: Literal["cmaes"] = "cmaes"
    """The sampler."""
    package: ClassVar[str | None] = "cmaes"


def build(config: Config, *, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has."""
    return optuna.samplers.CmaEsSampler(
        seed=seed, n_startup_trials=config.startup, warn_independent_sampling=False
    )
