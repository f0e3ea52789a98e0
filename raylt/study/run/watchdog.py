"""Warns with a reason when no trial has reported for a while; it stops nothing itself."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from raylt import threads
from raylt.cluster import bookings, capacity, connect
from raylt.cluster.capacity import Node, Shape
from raylt.study.record.listener import Listener, Task
from raylt.study.record.outcome import Metrics, Outcome

PATIENCE = 600.0
"""Seconds without news of any trial after which it warns."""

_log = logging.getLogger("raylt")


@contextlib.contextmanager
def watching(look: Callable[[int], str], *, patience: float) -> Generator[Watchdog]:
    """A watchdog for the time of a `with`.

    Args:
        look: Finds the reason, given how many trials run; called in the watchdog's thread.
        patience: Seconds of silence before each warning.
    """
    dog = Watchdog(look, patience=patience)
    # A look that hangs must not hold up the end of a search.
    with threads.every(patience / 20, dog.check, patience=1.0):
        yield dog


class Watchdog(Listener):
    """Warns when it has heard nothing of any trial for a while; made by `watching`."""

    def __init__(self, look: Callable[[int], str], *, patience: float) -> None:
        self._look = look
        self._patience = patience
        self._heard = time.monotonic()
        self._warned = self._heard
        self._running: set[int] = set()

    def started(self, task: Task) -> None:
        """A trial begins, or begins again."""
        self._running.add(task.number)
        self._heard = time.monotonic()

    def reported(self, task: Task, metrics: Metrics) -> None:
        """A trial scored an epoch."""
        self._heard = time.monotonic()

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A trial is over."""
        self._running.discard(task.number)
        self._heard = time.monotonic()

    def interrupted(self, task: Task) -> None:
        """The search stops while the trial runs."""
        self._running.discard(task.number)
        self._heard = time.monotonic()

    def check(self) -> None:
        """Warn, if it is time."""
        now = time.monotonic()
        if now - max(self._heard, self._warned) < self._patience:
            return
        self._warned = now
        minutes = (now - self._heard) / 60
        try:
            cause = self._look(len(self._running))
        except Exception as error:
            cause = f"Ray does not answer ({type(error).__name__}: {error})"
        _log.warning("no trial has reported for %.0f min: %s", minutes, cause)


def look(running: int, *, shape: Shape) -> str:
    """Why no trial reports, by what Ray says about machines and groups of workers."""
    import ray
    from ray.util import placement_group_table

    alive = connect.nodes()
    lost = [node["NodeManagerHostname"] for node in ray.nodes() if not node["Alive"]]
    groups: Mapping[str, Any] = placement_group_table()
    waiting = [group for group in groups.values() if group["state"] in ("PENDING", "RESCHEDULING")]
    placed = sum(
        group["state"] == "CREATED" and "CPU" in group["bundles"].get(0, {})
        for group in groups.values()
    )
    return reason(
        alive,
        lost=lost,
        waiting=waiting,
        free=ray.available_resources(),
        shape=shape,
        # A trial of several workers asks for its group only once there is room for it.
        homeless=running - placed if shape.workers > 1 else 0,
        orphaned=list(bookings.orphans().values()),
    )


def reason(
    alive: Sequence[Node],
    *,
    lost: Sequence[str],
    waiting: Sequence[Mapping[str, Any]],
    free: Mapping[str, float],
    shape: Shape,
    homeless: int,
    orphaned: Sequence[str],
) -> str:
    """The most likely reason, and what to do about it.

    Args:
        waiting: Groups of workers that have no place yet, as Ray describes them.
        homeless: Running trials that have no group of workers.
        orphaned: What groups of dead processes hold.
    """
    gone = f" {', '.join(lost)} died;" if lost else ""
    gone += f" dead processes hold {', '.join(orphaned)};" if orphaned else ""
    left = (
        f"{free.get('CPU', 0):g} cores and {free.get('GPU', 0):g} GPUs are free of "
        f"{capacity.listed(alive)};{gone} wait for machines, or interrupt and resume with fewer "
        f"workers"
    )
    if not waiting and homeless > 0:
        return f"{homeless} trials wait for {capacity.describe(shape)}; {left}"
    if not waiting:
        return (
            f"all workers are running;{gone} either an epoch takes longer than that, or a "
            f"worker hangs: look into the trial's output.txt"
        )
    first = waiting[0]
    wanted = ", ".join(
        str({name: amount for name, amount in bundle.items() if name in ("CPU", "GPU")})
        for bundle in first["bundles"].values()
    )
    return (
        f"{len(waiting)} groups of workers wait for places, the first for {wanted} "
        f"({first['strategy']}); {left}"
    )
