"""What a search has booked on its cluster: its placement groups, as Ray knows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raylt.cluster.capacity import Node, Shape

_KEPT_OFF = "raylt-kept-off"
"""The name of the group that books a machine on which no trial may begin."""
_NO_ACTOR = 16 * b"\xff"
_PROMPT = 10.0
"""Seconds in which Ray books what is free."""


@dataclass(frozen=True, slots=True)
class Booking:
    """Places that are booked at once, or that wait to be."""

    id: str
    """Ray's name of it."""
    places: tuple[Mapping[str, float], ...]
    """What is booked on one machine each."""
    orphaned: bool
    """Whether the process that made it has died."""

    @property
    def trains(self) -> bool:
        """Whether workers are to train there; a trial's own process books a little memory."""
        return any(place.get("CPU") or place.get("GPU") for place in self.places)


def booked() -> tuple[Booking, ...]:
    """The bookings of the search that this process belongs to, machines kept off left out."""
    import ray
    from ray._private.state import state
    from ray.core.generated import gcs_pb2

    job = bytes.fromhex(ray.get_runtime_context().get_job_id())
    accessor = state._connect_and_get_accessor()  # pyright: ignore[reportPrivateUsage]
    kind: Any = gcs_pb2.PlacementGroupTableData  # pyright: ignore[reportAttributeAccessIssue]
    groups = [kind.FromString(data) for data in accessor.get_placement_group_table()]
    return tuple(
        Booking(
            group.placement_group_id.hex(),
            tuple(dict(bundle.unit_resources) for bundle in group.bundles),
            # Of what the driver books Ray says so, too, for no actor made it.
            group.creator_actor_dead and group.creator_actor_id != _NO_ACTOR,
        )
        for group in groups
        if group.creator_job_id == job and group.state != kind.REMOVED and group.name != _KEPT_OFF
    )


def waiting() -> int:
    """Trials of several workers that have no places, though they are about to begin or to go on.

    Tune books something for the process of a trial before it starts it, and the process books the
    places of its workers later, which on a busy machine is a minute later.
    """
    there = [booking for booking in booked() if not booking.orphaned]
    training = sum(booking.trains for booking in there)
    return max(0, len(there) - 2 * training)


def book(shape: Shape, *, workers: int) -> str | None:
    """Book places that were seen free, for `workers` of a trial's workers.

    Returns:
        What `cancel` takes, or None: somebody else was faster.
    """
    from ray.util import placement_group

    group = placement_group([shape.bundle] * workers, strategy=shape.placement.upper())
    if group.wait(_PROMPT):
        return group.id.hex()
    cancel(group.id.hex())
    return None


def cancel(booking: str) -> None:
    """Give places back, if that has not happened yet."""
    from ray import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(booking))))


def keep_off(node: Node) -> str:
    """Book all that a machine has, so that no trial begins there.

    Where a trial is there already, the rest is booked once it has ended.

    Returns:
        What `cancel` takes.
    """
    from ray.util import placement_group

    # The process of a trial of several workers books nothing but a little memory.
    memory = int(node.memory) if math.isfinite(node.memory) else 0
    all_of_it = {"CPU": node.cpus, "GPU": node.gpus, "memory": memory}
    group = placement_group(
        [{name: amount for name, amount in all_of_it.items() if amount}],
        name=_KEPT_OFF,
        bundle_label_selector=[{"ray.io/node-id": node.id}],
    )
    return group.id.hex()
