"""Strategy: who proposes the next trial, and who stops weak ones."""

from __future__ import annotations

import importlib.util
from typing import Literal, Self

from pydantic import Field, model_validator

from raylt.schema import EnvironmentError, Frozen
from raylt.space.metric_names import Metric

IDLE = {
    "sampler": {
        "random": ("startup",),
        "grid": ("startup", "seed"),
    },
    "scheduler": {
        "median": ("factor",),
        "none": ("metric", "grace", "factor"),
    },
}
"""Keys of a section that mean nothing under a name."""
_WHY = {
    "startup": "has no model that would wait for random trials",
    "seed": "draws nothing: it walks all combinations in their order",
    "factor": "has no rungs",
    "metric": "watches nothing",
    "grace": "stops nothing",
}
BRACKETS = 3
"""Grace periods that HyperBand spreads its trials over: grace, grace x factor, ..."""
FIRST_GRACE = 1
"""What a study had that was begun when a grace that was left out was not written down with it."""
_PATIENCE = 3
"""One part of a trial's epochs in this many is its grace where none is given."""
_PACKAGES = {"cmaes": "cmaes"}
"""What a sampler needs that raylt does not install by itself."""


class _Named(Frozen):
    """A section whose `name` decides which of its keys mean something."""

    name: str

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        section = type(self).__name__.lower()
        for key in IDLE[section].get(self.name, ()):
            if key in self.model_fields_set:
                raise ValueError(
                    f"{key} must be left out for the {section} {self.name}, which {_WHY[key]}, "
                    f"but got {getattr(self, key)}; remove it"
                )
        return self


class Sampler(_Named):
    """Who proposes the next trial."""

    name: Literal["tpe", "random", "grid", "gp", "nsga2", "cmaes"] = "tpe"
    """Tree-structured Parzen estimator, uniform, all combinations, Gaussian process, NSGA-II for
    several objectives, or CMA-ES, which needs the package cmaes."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides every proposal, given the results; not for `grid`."""
    startup: int = Field(default=10, ge=0)
    """Random trials before the sampler trusts its model; the population of NSGA-II, of 4 at least;
    not for `random` and `grid`."""


class Scheduler(_Named):
    """Who stops weak trials early; the resource is the epoch."""

    name: Literal["asha", "hyperband", "median", "none"] = "asha"
    """Asynchronous successive halving, HyperBand, the median rule, or nobody."""
    metric: Metric | None = None
    """What it watches; the objective where there is one."""
    grace: int | None = Field(default=None, ge=1)
    """Epochs that every trial is given. A third of the epochs of the longest trial
    where it is left out, and with `hyperband` for its most patient bracket."""
    factor: int = Field(default=3, ge=2)
    """One in this many trials survives a rung; for `asha` and `hyperband`."""


def grace(scheduler: Scheduler, epochs: int) -> int:
    """The grace of a scheduler for which none was given.

    Settings that win may start slowly, such as small learning rates: stopped after an epoch they
    are lost, which costs more than a third of a weak trial does.

    Args:
        scheduler: One that stops trials.
        epochs: Of the longest trial.
    """
    spread = scheduler.factor ** (BRACKETS - 1) if scheduler.name == "hyperband" else 1
    return max(1, epochs // (_PATIENCE * spread))


def require_installed(sampler: Sampler) -> None:
    """Refuse a sampler whose package is missing, before anything starts.

    Raises:
        EnvironmentError: it is not installed.
    """
    package = _PACKAGES.get(sampler.name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise EnvironmentError(
            f"study.sampler.name: {sampler.name} needs the package {package}, which is not "
            f"installed; install it with `pip install {package}` (the extra raylt[{package}]), or "
            f"choose tpe"
        )
