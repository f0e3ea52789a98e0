"""Groups of workers whose trial process has died and that hold their places all the same.

Ray frees the places of a group only once the actor and the job that made it are both gone, and the
job is the search itself. Ray Train has a process that frees them earlier, but it has to reach the
dashboard and may die with its machine, and then the cores are lost to the search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from raylt.cluster import bookings

GRACE = 15.0
"""Seconds that Ray Train's own process has to free a group."""

_log = logging.getLogger("raylt")


class OrphanReaper:
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
        self._free = free or bookings.cancel
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
    """The bookings of this search whose maker is dead, with what they hold."""
    return {one.id: holding(one.places) for one in bookings.booked() if one.orphaned}


def holding(places: Sequence[Mapping[str, float]]) -> str:
    """What is booked in words."""
    total = {name: sum(place.get(name, 0.0) for place in places) for name in ("CPU", "GPU")}
    return f"{total['CPU']:g} cores and {total['GPU']:g} GPUs"
