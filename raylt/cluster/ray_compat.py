"""Everything in which raylt relies on private names of Ray; nothing else in the package may.

All of it was seen in Ray 2.60. After an update of Ray, read this file first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

_VITAL = ("gcs_server", "raylet")
"""Ray's names of the processes without which no trial can go on."""
_MADE_BY_NO_ACTOR = 16 * b"\xff"
"""The id of the maker of a placement group that a driver made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementGroup:
    """A placement group of this process's job that has not been removed."""

    id: str
    name: str
    bundles: tuple[Mapping[str, float], ...]
    """What it books, each on one machine."""
    orphaned: bool
    """Whether the actor that made it is dead."""


def placement_groups() -> tuple[PlacementGroup, ...]:
    """The placement groups of this process's job.

    Ray's public `placement_group_table` says neither which job a group belongs to nor whether its
    maker is alive, so this reads the table as the head's control service sends it (Ray 2.60).
    """
    import ray
    from ray._private.state import state
    from ray.core.generated import gcs_pb2

    job = bytes.fromhex(ray.get_runtime_context().get_job_id())
    accessor = state._connect_and_get_accessor()  # pyright: ignore[reportPrivateUsage]
    message: Any = gcs_pb2.PlacementGroupTableData  # pyright: ignore[reportAttributeAccessIssue]
    rows = [message.FromString(row) for row in accessor.get_placement_group_table()]
    return tuple(
        PlacementGroup(
            id=row.placement_group_id.hex(),
            name=row.name,
            bundles=tuple(dict(bundle.unit_resources) for bundle in row.bundles),
            # Ray says of what a driver made, too, that its actor is dead.
            orphaned=row.creator_actor_dead and row.creator_actor_id != _MADE_BY_NO_ACTOR,
        )
        for row in rows
        if row.creator_job_id == job and row.state != message.REMOVED
    )


def free_resources() -> Mapping[str, Mapping[str, float]]:
    """What nobody has booked, by the id of each machine that is not about to go.

    Ray's public `available_resources` only has the sum over all machines (Ray 2.60).
    """
    from ray._private.state import available_resources_per_node, state

    leaving = state.get_draining_nodes()
    free = available_resources_per_node()
    return {node: resources for node, resources in free.items() if node not in leaving}


def found_no_room(error: Exception) -> bool:
    """Whether Ray Train gave up a group of workers because its placement group stayed pending.

    Ray Train wraps that error in a `ControllerError`, and does not export its type (Ray 2.60).
    """
    from ray.train import ControllerError
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    return isinstance(error, ControllerError) and isinstance(
        error.controller_failure, WorkerGroupStartupTimeoutError
    )


def own_processes() -> Mapping[str, int]:
    """Process numbers of the control service and raylet that this process started, by name; none
    in a cluster that it joined (Ray 2.60)."""
    from ray._private import worker

    node: Any = worker._global_node  # pyright: ignore[reportPrivateUsage]
    started: Mapping[str, Any] = node.all_processes if node is not None else {}
    return {name: started[name][0].process.pid for name in _VITAL if name in started}


def preloading(module: str | None) -> dict[str, Any]:
    """Arguments of `ray.init` that make waiting processes import a module (Ray 2.60)."""
    return {"_system_config": {"preload_python_modules": [module]}} if module else {}


@contextlib.contextmanager
def trials_in_waiting_processes() -> Generator[None]:
    """Let Tune run its trials in the processes that Ray started first, for the time of a `with`.

    Tune asks for variables of its own around each trial, and for these Ray would start another
    process, which imports everything again: seconds. On one machine every process inherits the
    variables anyway. Replaces `_ActorClassCache.get` (Ray 2.60).
    """
    import ray
    from ray.tune.execution.class_cache import _ActorClassCache  # pyright: ignore[reportPrivateUsage]

    def plain(self: Any, trainable_cls: Any) -> Any:
        return self._cache.setdefault(trainable_cls, ray.remote(trainable_cls))

    original = _ActorClassCache.get
    _ActorClassCache.get = plain
    try:
        yield
    finally:
        _ActorClassCache.get = original


@contextlib.contextmanager
def out_of_memory_is_a_death() -> Generator[None]:
    """Let Tune treat a trial that Ray's memory monitor killed as one whose process died.

    Ray reports it as an `OutOfMemoryError`, which is no `RayActorError`; Tune knows only the
    latter and would end the whole search: "Caught unexpected exception". Replaces
    `RayActorManager._actor_task_failed` (Ray 2.60).
    """
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    manager: Any = RayActorManager
    original = manager._actor_task_failed

    def failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        original(self, tracked_actor_task, exception)

    manager._actor_task_failed = failed
    try:
        yield
    finally:
        manager._actor_task_failed = original
