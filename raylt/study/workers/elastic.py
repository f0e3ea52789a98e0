"""How many workers a trial gets, and when it should begin again with more of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from raylt.cluster import bookings, capacity, connect
from raylt.cluster.capacity import Node, Shape
from raylt.study.workers.orphans import OrphanReaper

LOOK = 2.0
"""Seconds between two looks at what is free."""
PATIENCE = 30.0
"""Seconds that room for more workers must have been free before a trial begins again to use it:
the driver may be about to begin another trial, or to ask a machine that joined."""


@dataclass(frozen=True, slots=True)
class Places:
    """What a trial has booked for its workers."""

    workers: int
    booking: str


def awaited(shape: Shape, *, counts: Sequence[int], trials: float, growing: bool) -> Places:
    """Wait until a trial has room, and book it.

    A group of workers that is asked for too early would wait too, and hold up everything until
    Ray gives it up. Whoever waits also frees what dead processes of the search still hold.

    Args:
        shape: What each of its workers books.
        counts: How many workers it may have.
        trials: The most that run at a time, each with its fair part; fewer where fewer fit.
        growing: Whether it left a smaller group for what nobody else used: unless another trial
            waits by now, it has all of that.
    """
    orphanage = OrphanReaper()
    while True:
        free, alive = connect.free(), connect.nodes()
        # The machines may be others than when the search began.
        beside = max(1, int(min(trials, capacity.concurrent(alive, shape.smallest))))
        # One of those that wait is this trial.
        if growing and bookings.waiting() <= 1:
            beside = 1
        count = capacity.most(free, alive, shape, counts=counts, trials=beside)
        if count and (booking := bookings.book(shape, workers=count)):
            return Places(count, booking)
        orphanage.visit()
        time.sleep(LOOK)


class Growth:
    """Whether a running group of workers should make way for a larger one; asked in rank 0.

    Args:
        shape: What each worker books.
        counts: How many workers the trial may have.
        have: How many it has.
    """

    def __init__(self, shape: Shape, *, counts: Sequence[int], have: int) -> None:
        self._shape = shape
        self._counts = [count for count in counts if count >= have]
        self._have = have
        self._own = Counter(_own_nodes())
        self._looked = self._since = float("-inf")

    def due(self) -> bool:
        """Whether more workers have had room for `PATIENCE` seconds, and no trial waited."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return False
        # A look that found no room begins the time of patience anew, and so does a trial that is
        # about to begin, which has a better claim to it.
        if not self._fits_more() or bookings.waiting():
            self._looked, self._since = now, float("-inf")
            return False
        if self._since == float("-inf"):
            self._since = now
        self._looked = now
        return now - self._since >= PATIENCE

    def _fits_more(self) -> bool:
        nodes = [self._with_own(node) for node in connect.free()]
        # What is left free for so long is nobody's part.
        count = capacity.most(nodes, nodes, self._shape, counts=self._counts, trials=1)
        return count > self._have

    def _with_own(self, node: Node) -> Node:
        """A machine as it would be without this group."""
        own = self._own[node.id]
        return replace(
            node, cpus=node.cpus + own * self._shape.cpus, gpus=node.gpus + own * self._shape.gpus
        )


def _own_nodes() -> list[str]:
    """The machines of this group's workers, one name for each worker."""
    from ray.util import get_current_placement_group, placement_group_table

    group = get_current_placement_group()
    assert group is not None
    return list(placement_group_table(group)["bundles_to_node_id"].values())
