"""How much memory the trials of a study need, measured and learned, so that several can share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from raylt.cluster.capacity import Need, Shape
from raylt.recipe import Recipe
from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.study.cost import forecast, measurements
from raylt.study.record.record import Record
from raylt.study.resources.allocation import Allocation
from raylt.trial.cost import cost
from raylt.trial.cost.cost import Cost

_MARGIN = 1.15
"""Memory that is given for each byte measured: a few steps do not see every peak."""
_FACT = "memory_needed"


def weigher(
    record: Record, settings: Settings, *, say: Callable[[str], None]
) -> Callable[[Shape], Need]:
    """A function that finds what one trial of a study needs, through Ray, when it is asked.

    What was measured on this machine before is not measured again. Where memory ran out in an
    earlier run of the study, the need is what that has shown.

    Args:
        say: Takes a line for each recipe that is measured.
    """

    def weigh(shape: Shape) -> Need:
        corners, gpu = forecast.corners(record.space), bool(shape.gpus)
        by_ray = functools.partial(_by_ray, shape)
        costs = measurements.of_recipes(corners, settings, gpu=gpu, say=say, how=by_ray)
        return learned(need([measurement for _, measurement in costs]), record)

    return weigh


def need(costs: Sequence[Cost]) -> Need:
    """What the hungriest of some recipes needs, with a margin, and what keeps a GPU busiest."""
    return Need(
        memory=_MARGIN * max(cost.memory for cost in costs),
        gpu_memory=_MARGIN * max(cost.gpu_memory for cost in costs),
        gpu_size=max(cost.gpu_size for cost in costs),
        gpu_busy=max(cost.gpu_busy for cost in costs),
    )


def learned(wanted: Need, record: Record) -> Need:
    """A need, raised to what the study has shown where memory ran out."""
    shown: dict[str, float] = record.facts.get(_FACT, {})
    sharers = shown.get("sharers_of_a_gpu", math.inf)
    return replace(
        wanted,
        memory=max(wanted.memory, shown.get("memory", 0.0)),
        gpu_memory=max(wanted.gpu_memory, wanted.gpu_size / sharers),
    )


def learn_from_out_of_memory(record: Record, allocation: Allocation) -> None:
    """Note that a trial ran out of memory beside others: next time one fewer runs beside it."""
    shape = allocation.shape
    if shape.gpus:
        together = round(1 / shape.gpus)
        shown = {"sharers_of_a_gpu": max(1, together - 1)}
    else:
        size = max(node.memory for node in allocation.machines)
        together = max(2, -(-allocation.concurrent // len(allocation.machines)))
        shown = {"memory": size / (together - 1)}
    record.note(_FACT, {**record.facts.get(_FACT, {}), **shown})


def sentence(allocation: Allocation) -> str:
    """How the trials are packed by what was measured, for the user."""
    if gpus := allocation.shape.gpus:
        return f"pack auto: as measured, {round(1 / gpus)} trials share each GPU"
    return (
        "pack auto: there is no GPU to share; as many trials run at a time as the cores and the "
        "measured memory allow"
    )


def _by_ray(shape: Shape, recipe: Recipe, **where: Any) -> Cost:
    """Measure a recipe on a machine of the cluster that has what a trial books."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    measure: Any = cost.measure_apart
    remote = ray.remote(measure).options(
        num_cpus=shape.cpus, num_gpus=1 if shape.gpus else 0, max_retries=0
    )
    try:
        return ray.get(remote.remote(recipe, **where))
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise EnvironmentError(
            f"pack auto: the process that trains a few steps died: "
            f"{' '.join(str(error).split())[:300]}; repair it, or set pack to a number"
        ) from None
