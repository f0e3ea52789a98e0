"""CMA-ES (Hansen, 2001), which needs the package cmaes.

It is the one sampler of Optuna that takes a prior: with `study.warm_start` its first distribution
is that of the best tenth of the earlier trials (Nomura et al., Warm Starting CMA-ES for
Hyperparameter Optimization, AAAI 2021), and no random trials come before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import optuna
from optuna.trial import FrozenTrial

from raylt.schema import LearningConfig


class Config(LearningConfig):
    """The settings of the sampler."""

    name: Literal["cmaes"] = "cmaes"
    """The sampler."""
    package: ClassVar[str | None] = "cmaes"
    takes_prior: ClassVar[bool] = True


def build(
    config: Config, *, seed: int, prior: Sequence[FrozenTrial] = ()
) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has.

    Args:
        prior: Trials of earlier studies in the leaves of this one; none, or ten at least.
    """
    return optuna.samplers.CmaEsSampler(
        seed=seed,
        n_startup_trials=min(1, config.startup) if prior else config.startup,
        warn_independent_sampling=False,
        source_trials=list(prior) or None,
    )
