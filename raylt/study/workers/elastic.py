"""How many workers a trial gets, and when it starts again with more of them.

Ray Train's own elastic groups, `ScalingConfig(num_workers=(min, max))`, were tried in place of
this (Ray 2.60). They pass the drill of hosts that lose power, but:

- `tests/cluster/test_growth.py` fails: Ray reserves all that it can for the group that asked
  first. A host that joined went to the running trial, and the second trial never started.
- Where the search stops trials early, the next one may wait for its cores. By its source, Ray
  keeps the reservation of a dead trial for 180 s; in
  `test_groups_that_are_stopped_early_give_their_cores_back`, under load, one gap of 45 s and one
  of 6.5 minutes were seen.
- By its source, Ray only counts cores: it starts groups whose number does not divide the batch,
  or that `strict_spread` does not allow, and it resizes a group in the middle of an epoch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from raylt.cluster import bookings, capacity, connect
from raylt.cluster.capacity import Node, Shape

LOOK = 2.0
"""Seconds between two looks at what is free."""
PATIENCE = 30.0
"""Seconds that machines must have been free before a trial starts again with more workers: the
search may be about to start another trial there, or to check a machine that has just joined."""


def wait_for_room(shape: Shape, *, counts: Sequence[int], trials: float, growing: bool) -> int:
    """Wait until a trial can start, and return with how many workers.

    While it waits, it frees what dead processes of the search still hold.

    Args:
        trials: The most that run at a time; fewer where fewer fit. Each gets an equal part.
        growing: Whether it made way for more workers: unless another trial waits, it gets all that
            is free.
    """
    while True:
        free, alive = connect.free(), connect.nodes()
        # Machines may have joined or left since the search began.
        sharing = max(1, int(min(trials, capacity.concurrent(alive, shape.smallest))))
        # One of the trials that wait is this one.
        if growing and bookings.waiting() <= 1:
            sharing = 1
        if workers := capacity.most(free, alive, shape, counts=counts, trials=sharing):
            return workers
        bookings.free_orphans()
        time.sleep(LOOK)


class Growth:
    """Tells rank 0 of a running group whether to make way for a larger group."""

    def __init__(self, shape: Shape, *, counts: Sequence[int], workers: int) -> None:
        self._shape = shape
        self._counts = [count for count in counts if count >= workers]
        self._workers = workers
        self._own = Counter(_own_nodes())
        self._free_since: float | None = None

    def due(self) -> bool:
        """Whether more workers have had room for `PATIENCE` seconds while no trial waited."""
        now = time.monotonic()
        # A trial that is about to start has a better claim to the machines.
        if bookings.waiting() or not self._fits_more():
            self._free_since = None
            return False
        if self._free_since is None:
            self._free_since = now
        return now - self._free_since >= PATIENCE

    def _fits_more(self) -> bool:
        nodes = [self._without_group(node) for node in connect.free()]
        most = capacity.most(nodes, nodes, self._shape, counts=self._counts, trials=1)
        return most > self._workers

    def _without_group(self, node: Node) -> Node:
        """What would be free on a machine without this group."""
        own = self._own[node.id]
        return replace(
            node, cpus=node.cpus + own * self._shape.cpus, gpus=node.gpus + own * self._shape.gpus
        )


def _own_nodes() -> list[str]:
    """The machine of each worker of this group."""
    from ray.util import get_current_placement_group, placement_group_table

    group = get_current_placement_group()
    assert group is not None
    return list(placement_group_table(group)["bundles_to_node_id"].values())
