"""Machines that join a cluster while its trials run, so that they are used, and those that go."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path

from raylt.cluster import address as addresses
from raylt.cluster import bookings, capacity, connect, sharing
from raylt.cluster.capacity import Node
from raylt.study.resources.allocation import Allocation

LOOK = 5.0
"""Seconds between two looks at the machines."""
_AGAIN = 30.0
"""Seconds after which a machine that was turned away is asked again."""

_log = logging.getLogger("raylt")


@contextlib.contextmanager
def followed(
    share: Allocation,
    *,
    address: str | None,
    runs: Path,
    checkpoints: str | None,
    say: Callable[[str], None],
) -> Generator[Callable[[], int]]:
    """How many trials run at a time, asked whenever one may begin, for the time of a `with`.

    Args:
        share: What a trial books, and the machines that were there at the beginning.
        address: The cluster whose machines come and go; this machine alone stays as it is.
        runs: Folder of all studies.
        checkpoints: A bucket by which machines can do without sharing the folder, or None.
        say: Takes a line for the user.
    """
    if addresses.way(address) == "here":
        yield lambda: share.concurrent
        return
    apart = functools.partial(sharing.apart, runs, checkpoints)
    remedy = sharing.remedy(checkpoints) if checkpoints else "mount the folder of runs there"
    with Arrivals(share, apart=apart, remedy=remedy, say=say) as found:
        yield lambda: found.concurrent


class Arrivals:
    """Knows how many trials run at a time on the machines that there are; use it in a `with`.

    A machine that joins is asked whether it keeps what trials leave behind where the others do.
    On one that does not no trial begins, until it does.

    Args:
        share: What a trial books, and the machines that were there at the beginning.
        apart: Why machines do not keep it there, or "", for those that are still there.
        remedy: What the user can do about it.
        say: Takes a line for the user.
    """

    def __init__(
        self,
        share: Allocation,
        *,
        apart: Callable[[Sequence[Node]], Mapping[Node, str]],
        remedy: str,
        say: Callable[[str], None],
    ) -> None:
        self.concurrent = share.concurrent
        """Trials that run at a time now."""
        self._share = share
        self._apart = apart
        self._remedy = remedy
        self._say = say
        self._there = {node.id: node for node in share.machines}
        """The machines that are used."""
        self._away: dict[str, str] = {}
        """Machines that are kept off, by what is booked there."""
        self._asked = float("-inf")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._main, name="arrivals", daemon=True)

    def __enter__(self) -> Arrivals:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        # Whom it asks just now may take a while to answer, and must not hold up the end.
        self._thread.join(1.0)
        for booking in self._away.values():
            bookings.cancel(booking)

    def look(self) -> None:
        """See who is there, and count anew."""
        alive = {node.id: node for node in connect.nodes()}
        for gone in self._away.keys() - alive.keys():
            bookings.cancel(self._away.pop(gone))
        self._ask(
            [
                node
                for key, node in alive.items()
                if key not in self._there and capacity.slots(node, self._share.shape)
            ]
        )
        left = [node for key, node in self._there.items() if key not in alive]
        for node in left:
            del self._there[node.id]
        self._count(f"{capacity.listed(left)} left" if left else "")

    def _ask(self, strangers: Sequence[Node]) -> None:
        """Take in machines that may be used, and keep trials off the others."""
        now = time.monotonic()
        if all(node.id in self._away for node in strangers) and now - self._asked < _AGAIN:
            return
        self._asked = now
        for node, why in self._apart(strangers).items() if strangers else ():
            if not why:
                self._there[node.id] = node
                if node.id in self._away:
                    bookings.cancel(self._away.pop(node.id))
                self._count(f"{capacity.listed([node])} joined")
            elif node.id not in self._away:
                self._away[node.id] = bookings.keep_off(node)
                _log.warning(
                    "no trial begins on %s, which joined, for it shares nothing (%s); %s",
                    node.name,
                    why,
                    self._remedy,
                )

    def _count(self, news: str) -> None:
        self.concurrent = self._share.at_a_time(tuple(self._there.values()))
        if news:
            trials = f"{self.concurrent} trial{'' if self.concurrent == 1 else 's'}"
            self._say(f"{news}: {trials} at a time")

    def _main(self) -> None:
        while not self._closing.wait(LOOK):
            try:
                self.look()
            except Exception as error:
                _log.warning("machines that join are not seen now: %s", error)
                self._closing.wait(_AGAIN)
