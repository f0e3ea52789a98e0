"""What a search will take, measured on this machine before it begins."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from typing import Any

from raylt.cluster import address as addresses
from raylt.cluster.capacity import Need, Shape
from raylt.recipe import Recipe
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space import Space
from raylt.study.cost import forecast, measurements, packing
from raylt.study.cost.forecast import Forecast
from raylt.study.resources import allocation
from raylt.trial.cost import cost
from raylt.trial.cost.cost import Cost


def make(space: Space, settings: Settings, *, say: Callable[[str], None]) -> Forecast:
    """Measure the corners of a space on this machine, and forecast its search.

    Raises:
        InputError: the search is to run on a cluster, which this machine does not stand for.
        EnvironmentError: not even one trial fits, or the steps do not run.
    """
    if addresses.way(settings.address) != "here":
        raise InputError(
            f"--measure: measures this machine, but the profile trains on the cluster "
            f"{settings.address}; run it on one of the cluster's machines, with a profile that "
            f"has no address"
        )
    costs: list[tuple[Recipe, Cost]] = []

    def weigh(shape: Shape) -> Need:
        corners, gpu = forecast.corners(space), bool(shape.gpus)
        costs[:] = measurements.of_recipes(
            corners, settings, gpu=gpu, say=say, how=cost.measure_apart, anew=True
        )
        return packing.need([measurement for _, measurement in costs])

    planned = allocation.planned(settings, weigh)
    if not costs:
        weigh(planned.shape)
    return forecast.forecast(space, costs, planned, trials=space.study.trials)


def plain(result: Forecast) -> dict[str, Any]:
    """A forecast for programs."""
    return {**dataclasses.asdict(result), "affordable": result.affordable}


def lines(result: Forecast, settings: Settings) -> list[str]:
    """A forecast for people, with what is free on the disk."""
    folder = settings.runs.resolve()
    existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
    free = None if existing is None else shutil.disk_usage(existing).free
    return forecast.lines(result, free=free)
