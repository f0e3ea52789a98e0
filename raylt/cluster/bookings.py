"""What a search has booked on its cluster: its placement groups, as Ray knows them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

from raylt.cluster import ray_compat
from raylt.cluster.capacity import Node

_KEPT_OFF = "raylt-kept-off"
"""The name of the group that books a machine on which no trial may begin."""

_log = logging.getLogger("raylt")


def waiting() -> int:
    """Trials of several workers whose process runs but whose workers have no machines yet.

    Tune books a little memory for the process of a trial before it starts it. Its workers book
    their cores later, which on a busy machine is a minute later.
    """
    groups = [
        group
        for group in ray_compat.placement_groups()
        if group.name != _KEPT_OFF and not group.orphaned
    ]
    training = sum(
        any(bundle.get("CPU") or bundle.get("GPU") for bundle in group.bundles) for group in groups
    )
    return max(0, len(groups) - 2 * training)


def orphans() -> Mapping[str, str]:
    """The bookings of dead trial processes: id -> what they hold, in words.

    Ray frees the machines of a group only once the actor and the job that made it are both gone,
    and the job is the search itself. Ray Train has a process that frees them earlier, but it dies
    with its machine.
    """
    return {group.id: _amount(group) for group in ray_compat.placement_groups() if group.orphaned}


def free_orphans() -> None:
    """Free what dead trial processes of this search have left booked."""
    for booking, amount in orphans().items():
        _log.info("freed %s, which a dead trial process had left booked", amount)
        cancel(booking)


def cancel(booking: str) -> None:
    """Free a booking; one that is gone already stays gone."""
    from ray import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(booking))))


def keep_off(node: Node) -> str:
    """Book all that a machine has, so that no trial begins there.

    Where a trial runs already, the rest is booked once it has ended.

    Returns:
        What `cancel` takes.
    """
    from ray.util import placement_group

    # The process of a trial of several workers books nothing but a little memory.
    memory = int(node.memory) if math.isfinite(node.memory) else 0
    whole = {"CPU": node.cpus, "GPU": node.gpus, "memory": memory}
    group = placement_group(
        [{name: amount for name, amount in whole.items() if amount}],
        name=_KEPT_OFF,
        bundle_label_selector=[{"ray.io/node-id": node.id}],
    )
    return group.id.hex()


def _amount(group: ray_compat.PlacementGroup) -> str:
    cpus, gpus = (sum(bundle.get(name, 0) for bundle in group.bundles) for name in ("CPU", "GPU"))
    return f"{cpus:g} cores and {gpus:g} GPUs"
