"""Join the Ray cluster that this machine belongs to, and list its machines."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import Generator
from dataclasses import replace

from raylt.cluster import capacity, ray_compat, token
from raylt.cluster.capacity import Node, Shape
from raylt.schema import EnvironmentError

_log = logging.getLogger("raylt")
_CONNECT = 5.0
"""Seconds that the cluster's head may take to answer."""
_LOOK = 2.0
"""Seconds between two looks for machines that come up."""
_PASSED_ON = ("RAY_TRAIN_", "RAY_AIR_", "TUNE_", "RAY_CHDIR", "RAY_ENABLE_UV")
"""Settings of Ray that a trial's process on another machine needs too; none of them is secret."""
_SETTINGS = {
    # After a notice of 15 s there must be time to end an epoch.
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1",
    # A worker that hangs is given up after a minute; Ray's default is ten.
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
    # Ray's client prints a line for each try; what it says is in our own error.
    "RAY_BACKEND_LOG_LEVEL": "error",
}


@contextlib.contextmanager
def joined(address: str) -> Generator[None]:
    """The cluster at `auto` or HOST:6379, for the time of a `with`; it keeps running afterwards.

    Raises:
        EnvironmentError: it cannot be joined from here.
    """
    _require_head(address)
    has_token = token.use()
    if address != "auto" and ray_compat.refuses_token(address, token.word() if has_token else ""):
        raise token.refused(address)
    for warning in token.warnings():
        _log.warning("warning: %s", warning)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    settings = {key: value for key, value in os.environ.items() if key.startswith(_PASSED_ON)}
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": settings},
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except Exception as error:
        if token.is_refusal(error):
            raise token.refused(address) from error
        raise EnvironmentError(_cannot_join(address, error)) from error
    try:
        yield
    finally:
        ray.shutdown()


def nodes() -> tuple[Node, ...]:
    """The machines of the joined cluster that are alive, by name."""
    import ray

    alive = [
        Node(
            id=node["NodeID"],
            name=node["NodeManagerHostname"],
            address=node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            memory=node["Resources"].get("memory", math.inf),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]
    return tuple(sorted(alive, key=lambda node: (node.name, node.id)))


def free() -> tuple[Node, ...]:
    """The machines with what nobody has booked on them, without those that are about to go."""
    left = ray_compat.free_resources()
    return tuple(
        replace(node, cpus=has.get("CPU", 0.0), gpus=has.get("GPU", 0.0))
        for node in nodes()
        if (has := left.get(node.id)) is not None
    )


@contextlib.contextmanager
def awaited(shape: Shape, *, trials: int, minutes: float) -> Generator[tuple[Node, ...]]:
    """The machines, once `trials` trials fit on them or the time is over.

    An autoscaler is asked for what is missing, and keeps it up until the `with` ends.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    from ray.autoscaler.sdk import request_resources

    deadline = time.monotonic() + 60 * minutes
    machines = nodes()
    asked = capacity.concurrent(machines, shape) < trials and minutes > 0
    if asked:
        request_resources(bundles=[shape.bundle] * shape.workers * trials)
    try:
        while capacity.concurrent(machines, shape) < trials and time.monotonic() < deadline:
            time.sleep(_LOOK)
            machines = nodes()
        capacity.require_fit(machines, shape)
        yield machines
    finally:
        if asked:
            request_resources(bundles=[])


def _require_head(address: str) -> None:
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT).close()
    except OSError as error:
        raise EnvironmentError(
            f"a Ray cluster must answer at {address}, but it does not: {error}; start it with "
            f"`ray start --head --port={port}` there, or open the port between the machines"
        ) from error


def _cannot_join(address: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        return (
            f"Ray and Python must be the same on all machines, but {text[:300]}; install the "
            f"cluster's versions here, or run raylt on one of its machines"
        )
    if isinstance(error, ConnectionError) and address == "auto":
        return (
            "this machine must belong to a Ray cluster to use --address auto, but none runs here "
            "that takes our token; start one with `ray start --head`, set RAY_AUTH_TOKEN_PATH to "
            "a copy of its token, or leave --address out to use this machine alone"
        )
    return (
        f"this machine must belong to the Ray cluster at {address}, but it cannot join: "
        f"{text[:300]}; run `ray start --address={address}` here, or submit from outside with "
        f"--address http://HOST:8265"
    )
