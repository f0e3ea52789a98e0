"""Uniform draws."""

from __future__ import annotations

from typing import Literal

import optuna

from raylt.schema import SeededConfig


class Config(SeededConfig):
    """The settings of the sampler."""

    name: Literal["random"] = "random"
    """The sampler."""


def build(config: Config, *, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler; `seed` is that of the study, moved on by the trials that it has."""
    return optuna.samplers.RandomSampler(seed=seed)
