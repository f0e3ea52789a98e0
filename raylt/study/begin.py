"""Begin a study: what its numbers are to be judged by, then the search."""

from __future__ import annotations

from collections.abc import Mapping

from raylt import recipe
from raylt.schema import InputError
from raylt.space import Space
from raylt.study import driver
from raylt.study.driver import Settings
from raylt.study.result import Result


def begin(space: Space, settings: Settings) -> Result:
    """Search a space, with the floor of its dataset measured first.

    Raises:
        InputError: the study exists already, or the space does not suit the settings.
        EnvironmentError: the machine, the dataset or the tracker is not as it must be.
    """
    _refuse_existing(space, settings)
    _demand_even_batches(space, settings)
    floor, fingerprint = _ground(space, settings)
    return driver.search(space, settings, floor=floor, fingerprint=fingerprint)


def _refuse_existing(space: Space, settings: Settings) -> None:
    # The driver refuses too, but only once the dataset is loaded and measured.
    folder = settings.runs / space.study.name
    if (folder / "study.db").exists():
        raise InputError(
            f"study.name: must be new, but {folder} holds a study already; go on with it by "
            f"`raylt resume {space.study.name}`, or choose another name with --study"
        )


def _demand_even_batches(space: Space, settings: Settings) -> None:
    path = "optimizer.batch_size"
    ends = next(
        (each.ends for each in space.leaves if each.path == path), (space.known.get(path),)
    )
    for size in ends:
        if isinstance(size, int) and size % settings.workers:
            nearest = max(settings.workers, size // settings.workers * settings.workers)
            raise InputError(
                f"{space.source}: {path}: must divide evenly over {settings.workers} workers, but "
                f"got {size}; try {nearest}, or another number of --workers"
            )


def _ground(space: Space, settings: Settings) -> tuple[Mapping[str, float], str]:
    """What raw pixels reach on the labels that this study's classifier sees, and the dataset."""
    from raylt import datasets
    from raylt.methods import _base
    from raylt.recipe import Evaluation
    from raylt.trial.floor import floor
    from raylt.trial.score import labelled

    splits = datasets.load(recipe.dataset(space.fixed), settings.root)
    method = _base.named(str(space.known["method.name"]))
    own = method.classifier is not _base.Method.classifier
    evaluation = Evaluation.model_validate(space.fixed.get("evaluation", {}))
    seen = splits.train if own else labelled(splits, evaluation)
    return floor(splits, seen), splits.fingerprint
