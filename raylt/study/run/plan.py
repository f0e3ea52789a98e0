"""Every refusal of a search that can be made before Ray starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space import Point, Space, metrics_check, strategy
from raylt.space.metric_names import BEST, GROUPS
from raylt.space.rival import rival

if TYPE_CHECKING:
    from raylt.data.images import Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A search that may begin."""

    space: Space
    settings: Settings
    url: str | None
    """The server that is to have the study of record; None for the study's folder."""
    queue: tuple[Point, ...]
    """The points of a grid; none for other samplers."""
    floor: Callable[[], Mapping[str, float]]
    """Measures what raw pixels reach on the same labels, in seconds."""
    fingerprint: str
    """Of the dataset; only studies with equal ones may be compared."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The names of the classes, and what was left out of the dataset."""

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.settings.runs / self.space.study.name


def check_space(space: Space, *, here: bool = True) -> None:
    """Refuse what is wrong with a space whatever the settings and the data.

    Args:
        space: What is to be searched.
        here: Whether it is to be searched on this machine.

    Raises:
        InputError: the method of `study.versus` cannot be searched.
        EnvironmentError: the sampler's package is not installed.
    """
    if here:
        strategy.require_installed(space.study.sampler)
    if space.study.versus is not None:
        rival(space)


def check(space: Space, settings: Settings) -> Plan:
    """Refuse a search that cannot run; what is cheap to find out comes first.

    Raises:
        InputError: the study exists already, or the space does not suit the settings or the data.
        EnvironmentError: no trial fits the machine, or the dataset or a package is missing.
    """
    check_space(space)
    # These import Optuna and what finds machines; `raylt check` does without.
    from raylt import datasets, recipe
    from raylt.study.record import storage, studies
    from raylt.study.resources import allocation
    from raylt.study.search import sampler

    folder = settings.runs / space.study.name
    url = storage.chosen(folder, settings.storage)
    studies.require_new(folder, url, space.study.name)
    allocation.require_even(space, settings)
    allocation.require_fit(settings)
    queue = sampler.grid(space) if space.study.sampler.name == "grid" else ()
    splits = datasets.load(recipe.dataset(space.fixed), settings.data)
    _require_metrics(space, splits)
    return Plan(
        space=space,
        settings=settings,
        url=url,
        queue=queue,
        floor=lambda: _floor(space, splits),
        fingerprint=splits.fingerprint,
        data=splits.facts,
    )


def _require_metrics(space: Space, splits: Splits) -> None:
    """Refuse metrics of groups of classes that the validation images do not have."""
    from raylt import metrics

    # The classes of lists and folders of images are counted only when they are loaded.
    labels, counts = splits.validation.labels, splits.train_counts
    known = {f"val/{name}" for name in (*metrics.summary(labels, labels, counts), "knn")}
    known |= {BEST + group for group in GROUPS if f"val/{group}" in known}
    for key, metric in metrics_check.metrics_of(space.study):
        if metric.startswith("val/") and metric not in known:
            reason = metrics_check.no_classes(metric, counts) or (
                f"must be a group that has validation images, but got {metric}, whose classes "
                f"have none; hold out more of each class with data.validation"
            )
            raise InputError(f"{space.source}: {key}: {reason}")


def _floor(space: Space, splits: Splits) -> Mapping[str, float]:
    """What raw pixels reach on the labels that this study's classifier sees."""
    # These import torch, which takes as long as Ray's start.
    from raylt.methods import _base
    from raylt.recipe import Evaluation
    from raylt.trial.evaluation.pixel_baseline import floor
    from raylt.trial.evaluation.score import labelled

    method = _base.named(str(space.known["method.name"]))
    own = method.classifier is not _base.Method.classifier
    evaluation = Evaluation.model_validate(space.fixed.get("evaluation", {}))
    return floor(splits, splits.train if own else labelled(splits, evaluation))
