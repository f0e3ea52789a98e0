"""Begin a study: what its numbers are to be judged by, then the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from raylt import datasets, metrics, recipe
from raylt.schema import InputError
from raylt.space import Space, metrics_check
from raylt.space.measures import BEST, GROUPS
from raylt.space.strategy import require_installed
from raylt.study.record import postgres, storage
from raylt.study.resources import allocation
from raylt.study.run import driver
from raylt.study.run.result import Result
from raylt.study.run.session import Settings

if TYPE_CHECKING:
    from raylt.data.images import Splits


def begin(space: Space, settings: Settings) -> Result:
    """Search a space, with the floor of its dataset measured first.

    Raises:
        InputError: the study exists already, or the space does not suit the settings.
        EnvironmentError: the machine, the dataset or the tracker is not as it must be.
    """
    require_installed(space.study.sampler)
    _refuse_existing(space, settings)
    allocation.require_even(space, settings)
    splits = datasets.load(recipe.dataset(space.fixed), settings.root)
    _require_metrics(space, splits)
    return driver.search(
        space, settings, floor=lambda: _floor(space, splits), fingerprint=splits.fingerprint
    )


def _refuse_existing(space: Space, settings: Settings) -> None:
    # The driver refuses too, but only once the dataset is loaded and measured.
    folder = settings.runs / space.study.name
    url = storage.chosen(folder, settings.storage)
    if storage.exists(folder, url, folder.name):
        raise InputError(
            f"study.name: must be new, but {postgres.public(url) if url else folder} holds a "
            f"study already; go on with it by `raylt resume {space.study.name}`, or choose "
            f"another name with --study"
        )


def _require_metrics(space: Space, splits: Splits) -> None:
    # Lists and folders of images tell only now how many there are of each class.
    labels, counts = splits.validation.labels, splits.train_counts
    there = {f"val/{name}" for name in (*metrics.summary(labels, labels, counts), "knn")}
    there |= {BEST + group for group in GROUPS if f"val/{group}" in there}
    for key, metric in metrics_check.named(space.study):
        if metric.startswith("val/") and metric not in there:
            why = metrics_check.no_classes(metric, counts) or (
                f"must be a group that has validation images, but got {metric}, and none of its "
                f"classes gives one; hold out more of each class by data.validation"
            )
            raise InputError(f"{space.source}: {key}: {why}")


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
