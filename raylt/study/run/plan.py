"""Every refusal of a search that can be made before Ray starts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylt import encoders, recipe
from raylt.encoders import EncoderConfig
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space import Point, Space, metrics_check, strategy
from raylt.space.metric_names import BEST, GROUPS
from raylt.space.rival import rival

if TYPE_CHECKING:
    from raylt.data.images import Splits
    from raylt.study.record.record import Record
    from raylt.study.warm_start.carried import WarmStart


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
    facts: Mapping[str, Any]
    """What the study keeps: the `fingerprint` of its images, for only studies with equal ones may
    be compared; `data`, their classes and which pictures are in several parts; how many images are
    for `validation`; and `encoders` with more than a name of raylt's, their features,
    normalisation and weights."""
    warm: WarmStart | None = None
    """What it begins with of earlier studies; None without `study.warm_start`."""

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.settings.runs / self.space.study.name


def check_space(space: Space, *, here: bool = True) -> None:
    """Refuse what is wrong with a space whatever the settings and the data.

    Raises:
        InputError: the method of `study.versus` cannot be searched, or an encoder of one's own
            cannot be imported or called.
        EnvironmentError: a package of the sampler or of an encoder is not installed.
    """
    if here:
        strategy.require_installed(space.study.sampler)
        for config, _ in _encoders(space):
            encoders.require_usable(config.name)
    if space.study.versus is not None:
        rival(space)


def unbuilt(space: Space) -> str | None:
    """That encoders were not built, where building one may fail."""
    names = dict.fromkeys(config.name for config, _ in _encoders(space) if not config.is_plain)
    return f"encoder    {', '.join(names)} is built when the search starts" if names else None


def check(space: Space, settings: Settings, *, data_of: Record | None = None) -> Plan:
    """Refuse a search that cannot run; what is cheap to find out comes first.

    Args:
        data_of: A study whose images it must have.

    Raises:
        InputError: the study exists already, or the space does not suit the settings or the data.
        EnvironmentError: no trial fits the machine, or the dataset or a package is missing.
    """
    check_space(space)
    # These import Optuna and what finds machines; `raylt check` does without.
    from raylt import datasets
    from raylt.data.reading import copies
    from raylt.study.record import storage, studies
    from raylt.study.record.provenance import DATA_OF
    from raylt.study.run import same_data
    from raylt.study.search import sampler

    folder = settings.runs / space.study.name
    url = storage.chosen(folder, settings.storage)
    studies.require_new(folder, url, space.study.name, settings)
    _require_resources(space, settings)
    queue = sampler.grid(space) if space.study.sampler.name == "grid" else ()
    warm = warm_start(space, settings)
    config = recipe.dataset(space.fixed)
    splits = datasets.load(config, settings.data)
    if data_of is not None:
        same_data.require(data_of, splits)
    _require_metrics(space, splits)
    files = datasets.divided(config, settings.data, splits.broken)
    return Plan(
        space=space,
        settings=settings,
        url=url,
        queue=queue,
        warm=warm,
        floor=lambda: _floor(space, splits),
        facts={
            "fingerprint": splits.fingerprint,
            "validation": len(splits.validation),
            "data": {**splits.facts, "copies": copies.sentence(files) if files else ""},
            "encoders": list(_built(space, splits, settings.data)),
            **({} if data_of is None else {DATA_OF: data_of.name}),
        },
    )


def warm_start(space: Space, settings: Settings) -> WarmStart | None:
    """What a space begins with of earlier studies; None for one that names none.

    Raises:
        InputError: a source cannot be used.
        EnvironmentError: the database of one cannot be read.
    """
    if not space.sources:
        return None
    from raylt.study.warm_start import carried

    return carried.carry(space, runs=settings.runs, url=settings.storage)


def check_going_on(space: Space, settings: Settings) -> None:
    """Refuse to go on with a study that cannot run here: what `check` refuses, but for its data,
    which `same_data` compares with those that it began with.

    Raises:
        InputError: the space does not suit the settings.
        EnvironmentError: no trial fits the machine, or a package is missing.
    """
    check_space(space)
    _require_resources(space, settings)


def _require_resources(space: Space, settings: Settings) -> None:
    from raylt.study.resources import allocation

    allocation.require_even(space, settings)
    allocation.require_fit(settings)


def _encoders(space: Space) -> Iterator[tuple[EncoderConfig, int]]:
    """The encoders of a space, each with each size of its images."""
    open_leaves = [x for x in space.leaves if x.path.split(".")[0] in ("encoder", "size")]
    for ends in itertools.product(*(open_leaf.ends for open_leaf in open_leaves)):
        point = dict(zip((x.path for x in open_leaves), ends, strict=True))
        values = recipe.filled(space.fixed, point)
        chosen = values["encoder"]
        described = {"name": chosen} if isinstance(chosen, str) else chosen
        config = EncoderConfig.model_validate(described)
        yield config, values.get("size", space.known["size"])


def _built(space: Space, splits: Splits, root: Path) -> Iterator[Mapping[str, Any]]:
    """Build each encoder once that has more than a name of raylt's: its library, weights and size
    may not go together, and what is downloaded now is at hand for the trials.

    Raises:
        InputError: a file of weights is not the encoder's, or it does not take the size.
        EnvironmentError: its library is missing, or its weights cannot be downloaded.
    """
    for config, size in _encoders(space):
        if config.is_plain:
            continue
        built = encoders.build(
            config,
            channels=splits.shape[0],
            size=size,
            mean=splits.mean,
            std=splits.std,
            root=root,
        )
        yield {
            **config.model_dump(mode="json"),
            "size": size,
            "width": built.width,
            "mean": [round(value, 6) for value in built.mean.flatten().tolist()],
            "std": [round(value, 6) for value in built.std.flatten().tolist()],
            "sha256": encoders.sha256(config, root),
        }


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
