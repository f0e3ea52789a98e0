"""What a search will take, measured on this machine before it begins."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raylt.cluster import address as addresses
from raylt.cluster.capacity import Need, Shape
from raylt.recipe import Recipe
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space import Space
from raylt.study.cost import forecast, packing
from raylt.study.cost import measured as measures
from raylt.study.cost.forecast import Forecast
from raylt.study.resources import allocation
from raylt.trial.cost import cost
from raylt.trial.cost.cost import Cost


def measured(space: Space, settings: Settings, *, say: Callable[[str], None]) -> Forecast:
    """Measure the corners of a space on this machine, and forecast its search.

    Args:
        space: What is to be searched.
        settings: Where and how.
        say: Takes a line now and then.

    Raises:
        InputError: the search is to run on a cluster, which this machine does not stand for.
        EnvironmentError: not even one trial fits, or the steps do not run.
    """
    if addresses.way(settings.address) != "here":
        raise InputError(
            f"--measure: must look at the machine that trains, but the profile names the cluster "
            f"{settings.address}; run it on one of its machines, with a profile that has no "
            f"address"
        )
    threads = settings.cpus_per_worker
    found: list[tuple[Recipe, Cost]] = []

    def weigh(shape: Shape) -> Need:
        gpu = bool(shape.gpus)
        found[:] = measures.measured(
            forecast.corners(space),
            runs=settings.runs,
            threads=threads,
            gpu=gpu,
            say=say,
            how=lambda one: cost.measured(one, root=settings.data, threads=threads, gpu=gpu),
        )
        return packing.need([one for _, one in found])

    share = allocation.planned(settings, weigh)
    if not found:
        weigh(share.shape)
    return forecast.forecast(space, found, share, trials=space.study.trials)


def plain(found: Forecast) -> dict[str, Any]:
    """A forecast for programs."""
    return {**dataclasses.asdict(found), "affordable": found.affordable}


def lines(found: Forecast, settings: Settings) -> list[str]:
    """A forecast for people, with what is free on the disk."""
    return forecast.lines(found, free=_free(settings.runs))


def _free(folder: Path) -> int | None:
    there = next((path for path in (folder, *folder.resolve().parents) if path.exists()), None)
    return None if there is None else shutil.disk_usage(there).free
