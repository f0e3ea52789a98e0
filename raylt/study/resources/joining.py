"""Machines that join a cluster or leave it while its trials run."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence

from raylt import threads
from raylt.cluster import address as addresses
from raylt.cluster import bookings, capacity, connect, sharing
from raylt.cluster.capacity import Node
from raylt.settings import Settings
from raylt.study.resources.allocation import Allocation

LOOK = 5.0
"""Seconds between two looks at the machines."""
_RECHECK = 30.0
"""Seconds after which a machine that could not be used is checked again."""

_log = logging.getLogger("raylt")


@contextlib.contextmanager
def followed(
    allocation: Allocation,
    settings: Settings,
    *,
    bucket: str | None,
    say: Callable[[str], None],
) -> Generator[Callable[[], int]]:
    """How many trials may run at a time, asked before each one begins, for the time of a `with`.

    Args:
        settings: The address of the cluster whose machines come and go, if it is one.
        bucket: One by which machines can do without sharing the folder of runs, or None.
    """
    if addresses.way(settings.address) == "here":
        yield lambda: allocation.concurrent
        return
    check = functools.partial(sharing.check, settings.runs, bucket)
    duty, remedy = "see the runs folder", "mount it there"
    if bucket is not None:
        duty, remedy = f"write {bucket}", sharing.remedy(bucket)
    machines = Machines(allocation, check=check, duty=duty, remedy=remedy, say=say)
    try:
        # A machine that is being checked may take a while, and must not hold up the end.
        with threads.every(LOOK, machines.look_or_warn, patience=1.0):
            yield lambda: machines.concurrent
    finally:
        machines.let_go()


class Machines:
    """Keeps count of the machines and of the trials that may run on them.

    A machine that joins is used once it keeps checkpoints where the others find them. Until then
    it is booked, so that no trial begins there.

    Args:
        check: What is wrong with each machine, or ""; without those that have left.
        duty: What a machine must be able to do.
        remedy: What the user can do about one that cannot.
    """

    def __init__(
        self,
        allocation: Allocation,
        *,
        check: Callable[[Sequence[Node]], Mapping[Node, str]],
        duty: str,
        remedy: str,
        say: Callable[[str], None],
    ) -> None:
        self.concurrent = allocation.concurrent
        """Trials that may run at a time now."""
        self._allocation = allocation
        self._check = check
        self._duty = duty
        self._remedy = remedy
        self._say = say
        self._used = {node.id: node for node in allocation.machines}
        self._kept_off: dict[str, str] = {}
        """Machines that are not used -> the booking that keeps trials off."""
        self._checked = float("-inf")
        self._failed = float("-inf")

    def let_go(self) -> None:
        """Cancel what keeps trials off machines."""
        for booking in self._kept_off.values():
            bookings.cancel(booking)

    def look_or_warn(self) -> None:
        """Look, but not again at once where it failed."""
        if time.monotonic() - self._failed < _RECHECK:
            return
        try:
            self.look()
        except Exception as error:
            self._failed = time.monotonic()
            _log.warning("cannot see now which machines join or leave: %s", error)

    def look(self) -> None:
        """See which machines are there, and count the trials that fit on them."""
        alive = {node.id: node for node in connect.nodes()}
        for gone in self._kept_off.keys() - alive.keys():
            bookings.cancel(self._kept_off.pop(gone))
        self._check_new([node for key, node in alive.items() if key not in self._used])
        left = [self._used.pop(key) for key in list(self._used) if key not in alive]
        self._count(f"{capacity.listed(left)} left" if left else "")

    def _check_new(self, nodes: Sequence[Node]) -> None:
        """Use the machines that can be used, and keep trials off the others."""
        nodes = [node for node in nodes if capacity.slots(node, self._allocation.shape)]
        now = time.monotonic()
        if all(node.id in self._kept_off for node in nodes) and now - self._checked < _RECHECK:
            return
        self._checked = now
        for node, trouble in self._check(nodes).items() if nodes else ():
            if not trouble:
                self._used[node.id] = node
                if node.id in self._kept_off:
                    bookings.cancel(self._kept_off.pop(node.id))
                self._count(f"{capacity.listed([node])} joined")
            elif node.id not in self._kept_off:
                self._kept_off[node.id] = bookings.keep_off(node)
                _log.warning(
                    "Node %s joined but cannot %s (%s); not used; %s",
                    node.name,
                    self._duty,
                    trouble,
                    self._remedy,
                )

    def _count(self, news: str) -> None:
        self.concurrent = self._allocation.at_a_time(tuple(self._used.values()))
        if news:
            trials = f"{self.concurrent} trial{'' if self.concurrent == 1 else 's'}"
            self._say(f"{news}: {trials} at a time")
