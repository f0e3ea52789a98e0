"""How a group of workers comes to the places that its trial has booked for it.

Ray Train books places of its own, some seconds after it was asked for a group: its controller has
to start. Until then the trial's process holds as many, so that nobody else takes them.
"""

from __future__ import annotations

from ray.train.v2._internal.execution.callback import WorkerGroupCallback
from ray.train.v2._internal.execution.worker_group import WorkerGroupContext

from raylt.cluster import bookings


class Handover(WorkerGroupCallback):
    """Gives the trial's places back at the moment at which Ray Train books them.

    Args:
        booking: The trial's.
    """

    def __init__(self, booking: str) -> None:
        self._booking = booking

    def before_worker_group_start(self, worker_group_context: WorkerGroupContext) -> None:
        """Ray Train's next step is to book its own."""
        bookings.cancel(self._booking)
