"""Groups of workers whose trial process has died and that hold their places all the same.

Ray frees the places of a group only once the actor and the job that made it are both gone, and the
job is the search itself. Ray Train has a process that frees them earlier, but it has to reach the
dashboard and may die with its machine, and then the cores are lost to the search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

GRACE = 15.0
"""Seconds that Ray Train's own process has to free a group."""

_log = logging.getLogger("raylt")


class Orphanage:
    """Frees the places of orphaned groups of this search; ask it from time to time.

    Args:
        find: The orphaned groups, each with what it holds in words; by default what Ray knows.
        free: Frees the places of one of them.
    """

    def __init__(
        self,
        find: Callable[[], Mapping[str, str]] | None = None,
        free: Callable[[str], None] | None = None,
    ) -> None:
        self._find = find or orphans
        self._free = free or _remove
        self._seen: dict[str, float] = {}

    def visit(self) -> None:
        """Free what has been orphaned for longer than `GRACE`."""
        now = time.monotonic()
        found = self._find()
        self._seen = {group: self._seen.get(group, now) for group in found}
        for group, holding in found.items():
            if now - self._seen[group] > GRACE:
                _log.warning("freed %s, which a dead trial process had left booked", holding)
                self._free(group)


def orphans() -> Mapping[str, str]:
    """The groups of this search whose maker is dead, by Ray's name, with what they hold."""
    import ray
    from ray._private.state import state
    from ray.core.generated import gcs_pb2

    job = bytes.fromhex(ray.get_runtime_context().get_job_id())
    accessor = state._connect_and_get_accessor()  # pyright: ignore[reportPrivateUsage]
    kind: Any = gcs_pb2.PlacementGroupTableData  # pyright: ignore[reportAttributeAccessIssue]
    groups = [kind.FromString(data) for data in accessor.get_placement_group_table()]
    return {
        group.placement_group_id.hex(): holding([dict(b.unit_resources) for b in group.bundles])
        for group in groups
        if group.creator_job_id == job and group.creator_actor_dead and group.state != kind.REMOVED
    }


def holding(bundles: list[dict[str, float]]) -> str:
    """The places of a group in words."""
    total = {name: sum(bundle.get(name, 0.0) for bundle in bundles) for name in ("CPU", "GPU")}
    return f"{total['CPU']:g} cores and {total['GPU']:g} GPUs"


def _remove(group: str) -> None:
    from ray import PlacementGroupID
    from ray.util.placement_group import PlacementGroup, remove_placement_group

    remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(group))))
