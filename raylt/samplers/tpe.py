"""TPE, the tree-structured Parzen estimator (Bergstra et al., 2011)."""

from __future__ import annotations

from typing import Literal

import optuna

from raylt.schema import LearningConfig


class Config(LearningConfig):
    """The settings of the sampler."""

    name: Literal["tpe"] = "tpe"
    """The sampler."""


def build(config: Config, *, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has."""
    return optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=config.startup,
        # Leaves are modelled together, conditional ones in groups, and trials that still run count
        # as bad, so that parallel draws keep apart.
        multivariate=True,
        group=True,
        constant_liar=True,
    )
