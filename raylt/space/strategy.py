"""Strategy: who proposes the next trial, and who stops weak ones.

The files of `raylt/samplers` and `raylt/schedulers` say what there is to choose; a section of a
space file has the keys of all of them.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Literal, TypeVar

from pydantic import create_model, model_validator

from raylt import plugins
from raylt.schema import (
    EnvironmentError,
    Frozen,
    LearningConfig,
    SamplerConfig,
    StoppingConfig,
)
from raylt.space.metric_names import Metric

FIRST_GRACE = 1
"""The grace of a study that was begun before the default was kept with it."""
_REASONS = {
    "startup": "has no model that would wait for random trials",
    "seed": "draws nothing: it walks all combinations in their order",
    "factor": "has no rungs",
    "metric": "watches nothing",
    "grace": "stops nothing",
}

Section = TypeVar("Section", bound=Frozen)


def _with_keys_of(package: str, section: type[Section]) -> type[Section]:
    """`section` with the keys of every plug-in of a package that it has not itself, of which those
    that have no effect with its name must be left out."""
    keys: dict[str, Any] = {}
    kind = package.removesuffix("s")

    def nothing_idle(chosen: Any) -> Any:
        for key in idle(kind, chosen.name):
            if key in chosen.model_fields_set:
                raise ValueError(
                    f"{key} must be left out for the {kind} {chosen.name}, which "
                    f"{_REASONS.get(key, 'has no use for it')}, but got {getattr(chosen, key)}; "
                    f"remove it"
                )
        return chosen

    for name in plugins.names(package):
        for key, field in plugins.config(package, name).model_fields.items():
            if key not in section.model_fields:
                keys.setdefault(key, (field.annotation, field))
    rule: Any = {"nothing_idle": model_validator(mode="after")(nothing_idle)}
    name = section.__name__
    return create_model(name, __base__=section, __module__=__name__, __validators__=rule, **keys)


class Sampler(_with_keys_of("samplers", LearningConfig)):
    """Who proposes the next trial."""

    name: Literal[plugins.names("samplers")] = "tpe"  # pyright: ignore[reportInvalidTypeForm]
    """Tree-structured Parzen estimator, uniform, all combinations, Gaussian process, NSGA-II for
    several objectives, or CMA-ES, which needs the package cmaes."""


class Scheduler(_with_keys_of("schedulers", StoppingConfig)):
    """Who stops weak trials early; the resource is the epoch."""

    name: Literal[plugins.names("schedulers")] = "asha"  # pyright: ignore[reportInvalidTypeForm]
    """Asynchronous successive halving, HyperBand, the median rule, or nobody."""
    metric: Metric | None = None
    """What it watches; the objective where there is one."""


SECTIONS: dict[str, type[Sampler] | type[Scheduler]] = {
    "sampler": Sampler,
    "scheduler": Scheduler,
}
"""The sections of a study whose keys depend on their `name`."""


def idle(kind: str, name: str) -> tuple[str, ...]:
    """The keys of a section, `sampler` or `scheduler`, that have no effect with a name."""
    if name not in plugins.names(f"{kind}s"):
        return ()
    used = plugins.config(f"{kind}s", name).model_fields
    return tuple(key for key in SECTIONS[kind].model_fields if key not in used)


def config_of(section: Sampler | Scheduler, config: type[Section]) -> Section:
    """The plug-in's `Config` with the values of a section."""
    return config(**{key: getattr(section, key) for key in config.model_fields})


def stops(scheduler: Scheduler) -> bool:
    """Whether a scheduler may stop a trial."""
    return issubclass(plugins.config("schedulers", scheduler.name), StoppingConfig)


def grace(scheduler: Scheduler, epochs: int) -> int:
    """The grace of a scheduler for which none was given, if the longest trial has so many epochs.

    Good settings may start slowly, such as small learning rates: to lose them after one epoch
    costs more than to train weak trials for a third of their epochs.
    """
    config = config_of(scheduler, plugins.config("schedulers", scheduler.name))
    assert isinstance(config, StoppingConfig)
    return max(1, epochs // config.patience())


def require_installed(sampler: Sampler) -> None:
    """Refuse a sampler whose package is missing, before anything starts.

    Raises:
        EnvironmentError: it is not installed.
    """
    config = plugins.config("samplers", sampler.name)
    assert issubclass(config, SamplerConfig)
    package = config.package
    if package is not None and importlib.util.find_spec(package) is None:
        raise EnvironmentError(
            f"study.sampler.name: {sampler.name} needs the package {package}, which is not "
            f"installed; install it with `pip install {package}` (the extra raylt[{package}]), or "
            f"choose tpe"
        )
