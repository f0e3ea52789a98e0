"""Everything in which raylt relies on private names of Ray; nothing else in the package may.

All of it was seen in Ray 2.60. After an update of Ray, read this file first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

_VITAL = ("gcs_server", "raylet")
"""Ray's names of the processes without which no trial can go on."""
_MADE_BY_NO_ACTOR = 16 * b"\xff"
"""The id of the maker of a placement group that a driver made."""
_ANSWER = 5.0
"""Seconds that a control service may take to answer."""
LONGEST_FOLDER = 103 - len("/ray/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")
"""Bytes of a folder's path in which Ray makes its sockets, whose paths have at most 103."""
_NO_WAY_OUT = {
    **{
        name: "http://127.0.0.1:9"
        for kind in ("http", "https", "all")
        for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    },
    "no_proxy": "127.0.0.1,localhost,::1",
    "NO_PROXY": "127.0.0.1,localhost,::1",
}
"""Variables by which a program reaches this machine and no other."""


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


def started_processes() -> list[psutil.Process]:
    """Every process that this one started for Ray, with their descendants (Ray 2.60)."""
    from ray._private import worker

    node: Any = worker._global_node  # pyright: ignore[reportPrivateUsage]
    started = {} if node is None else node.all_processes
    processes: list[psutil.Process] = []
    for process_info in itertools.chain.from_iterable(started.values()):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(process_info.process.pid)
            processes += [process, *process.children(recursive=True)]
    return processes


def joined_head() -> tuple[str, int] | None:
    """Host and port of the control service of the cluster that this process joined; None where it
    started Ray itself (Ray 2.60)."""
    from ray._private import worker

    node: Any = worker._global_node  # pyright: ignore[reportPrivateUsage]
    if node is None or own_processes():
        return None
    host, _, port = node.gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


def joined_raylet() -> Mapping[str, int]:
    """Process number of the raylet of a cluster by which this process joined it, by its name; none
    where it is not among the processes that are seen from here (Ray 2.60)."""
    from ray._private import worker

    node: Any = worker._global_node  # pyright: ignore[reportPrivateUsage]
    if node is not None:
        for process in psutil.process_iter(["name", "cmdline"]):
            words = " ".join(process.info["cmdline"] or ())
            if process.info["name"] == "raylet" and node.raylet_socket_name in words:
                return {"raylet": process.pid}
    return {}


def refuses_token(address: str, word: str) -> bool:
    """Whether the control service at HOST:PORT says that it does not know a token.

    Ray's own client tries for 20 s, prints a line each second, and then only says that it failed
    to connect. Calls `GetClusterId` as Ray's client does (Ray 2.60).
    """
    import grpc

    metadata = [("authorization", f"Bearer {word}")] if word else []
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ask: Any = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            ask(b"", metadata=metadata, timeout=_ANSWER)
        except grpc.RpcError as error:
            answer: Any = error
            return answer.code() is grpc.StatusCode.UNAUTHENTICATED
    return False


@contextlib.contextmanager
def on_loopback(folder: Path) -> Generator[None]:
    """Let a Ray that is started listen on loopback and ask nobody elsewhere, for a `with`.

    By a variable that Ray has for Windows and macOS it takes the loopback for the address of its
    machine, and then its servers of metrics listen there alone. Its dashboard asks the metadata
    addresses of three clouds even where usage statistics are off, so it gets a proxy that does not
    answer. Sets `ray_constants.ENABLE_RAY_CLUSTER`, replaces `services.start_ray_process` (Ray
    2.60).

    Args:
        folder: For the dashboard's own sockets, whose paths the user's folder of temporary files
            may make too long.
    """
    from ray._private import ray_constants, services

    dashboard = {**_NO_WAY_OUT, "TMPDIR": str(folder)}
    original = services.start_ray_process

    def started(command: Any, process_type: str, *args: Any, **options: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_DASHBOARD:
            options["env_updates"] = {**(options.get("env_updates") or {}), **dashboard}
        return original(command, process_type, *args, **options)

    with (
        patch.dict(os.environ, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0"),
        patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False),
        patch.object(services, "start_ray_process", started),
    ):
        yield


@contextlib.contextmanager
def without_bystanders() -> Generator[None]:
    """Let a Ray that is started leave out what a search without its State API does not use, for
    the time of a `with`.

    That is the autoscaler, for one machine does not grow; the reader of logs, which are not sent
    to the driver; and the dashboard, for which Ray would wait. Each is a program in Python that
    imports Ray, most of a second of a core. Replaces methods of `Node` (Ray 2.60).
    """
    from ray._private.node import Node

    def nothing(self: Any, **_: Any) -> None:
        return None

    names = ("start_monitor", "start_log_monitor", "start_api_server")
    with patch.multiple(Node, **dict.fromkeys(names, nothing)):
        yield


def private_and_quiet(folder: Path, module: str | None) -> dict[str, Any]:
    """Arguments of `ray.init` for a Ray in a folder of its own, without servers of metrics.

    Args:
        folder: For its sockets and logs; private.
        module: What waiting processes import; None where they import nothing (Ray 2.60).
    """
    preload = {"preload_python_modules": [module]} if module else {}
    config = {"enable_metrics_collection": False, **preload}
    # Ray opens this folder to everybody, so it lies within one that is not.
    return {"_temp_dir": str(folder / "ray"), "_system_config": config}


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

    with patch.object(_ActorClassCache, "get", plain):
        yield


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

    with patch.object(manager, "_actor_task_failed", failed):
        yield
