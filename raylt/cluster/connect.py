"""Join the Ray cluster that this machine belongs to, and look at its machines."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from raylt.cluster import facts, room, token
from raylt.cluster.facts import Facts
from raylt.cluster.room import Node, Shape
from raylt.schema import EnvironmentError
from raylt.trial import bucket

_T = TypeVar("_T")
_log = logging.getLogger("raylt")
_CONNECT = 5.0
"""Seconds that the cluster's head may take to answer."""
_ASK = 60.0
"""Seconds that a machine may take to start a process and look at itself."""
_LOOK = 2.0
"""Seconds between two looks at whether machines have come up."""
_PASSED_ON = ("RAY_TRAIN_", "RAY_AIR_", "TUNE_", "RAY_CHDIR", "RAY_ENABLE_UV")
"""Settings of Ray that a trial's process on another machine needs too; none of them is secret."""
_SETTINGS = {
    # A notice of 15 s must be seen early enough to end an epoch.
    "RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S": "1",
    # A worker that hangs is given up after a minute; Ray's own choice is ten.
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
}


@contextlib.contextmanager
def joined(address: str) -> Generator[None]:
    """The cluster at `auto` or HOST:6379, for the time of a `with`; it goes on afterwards.

    Raises:
        EnvironmentError: it cannot be joined from here.
    """
    _demand_head(address)
    has_token = token.use()
    for warning in token.warnings():
        _log.warning("warning: %s", warning)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": passed},
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except Exception as error:
        raise EnvironmentError(_why(address, error, has_token=has_token)) from error
    try:
        yield
    finally:
        ray.shutdown()


def nodes() -> tuple[Node, ...]:
    """The machines of the joined cluster that are alive, by name."""
    import ray

    found = [
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
    return tuple(sorted(found, key=lambda node: (node.name, node.id)))


def free() -> tuple[Node, ...]:
    """The machines by what nobody has booked on them, without those that are about to go."""
    from ray._private.state import available_resources_per_node, state

    left = available_resources_per_node()
    leaving = state.get_draining_nodes()
    return tuple(
        replace(node, cpus=has.get("CPU", 0.0), gpus=has.get("GPU", 0.0))
        for node in nodes()
        if node.id not in leaving and (has := left.get(node.id)) is not None
    )


@contextlib.contextmanager
def awaited(shape: Shape, *, trials: int, minutes: float) -> Generator[tuple[Node, ...]]:
    """The machines, once `trials` trials fit them or the time is over.

    An autoscaler is told what is wanted, and keeps it up until the `with` ends.

    Raises:
        EnvironmentError: not even one trial fits.
    """
    from ray.autoscaler.sdk import request_resources

    deadline = time.monotonic() + 60 * minutes
    found = nodes()
    asked = room.concurrent(found, shape) < trials and minutes > 0
    if asked:
        bundle = {"CPU": shape.cpus, **({"GPU": shape.gpus} if shape.gpus else {})}
        request_resources(bundles=[bundle] * shape.workers * trials)
    try:
        while room.concurrent(found, shape) < trials and time.monotonic() < deadline:
            time.sleep(_LOOK)
            found = nodes()
        room.demand(found, shape)
        yield found
    finally:
        if asked:
            request_resources(bundles=[])


def ask(
    machines: Sequence[Node], *, folder: Path, tracking_uri: str | None
) -> Mapping[Node, Facts | str]:
    """What every machine knows about itself, or why it does not say.

    Args:
        machines: Whom to ask.
        folder: A folder for the answers; the driver's word is in `driver.txt` there.
        tracking_uri: MLflow's store; None where it is a file of the driver.
    """
    return _everywhere(
        facts.gather, {node: (str(folder), node.id, tracking_uri) for node in machines}
    )


def _everywhere(
    function: Callable[..., _T], arguments: Mapping[Node, tuple[Any, ...]]
) -> dict[Node, _T | str]:
    """What a function gives on every machine, or why it does not."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(num_cpus=0, max_retries=0)(function)
    asked = {
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(*given): node
        for node, given in arguments.items()
    }
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_ASK)
    answers: dict[Node, _T | str] = {}
    for future, node in asked.items():
        if future not in done:
            answers[node] = f"no answer within {_ASK:.0f} s"
            ray.cancel(future, force=True)
            continue
        try:
            answers[node] = ray.get(future)
        except Exception as error:
            answers[node] = _last_line(error)
    return answers


@contextlib.contextmanager
def probe_folder(runs: Path) -> Generator[tuple[Path, str]]:
    """A folder among the studies for the answers of machines, and the word to be read there.

    Raises:
        EnvironmentError: it cannot be written here.
    """
    folder, word = runs.resolve() / f".probe-{uuid.uuid4().hex}", uuid.uuid4().hex
    try:
        folder.mkdir(parents=True)
        (folder / "driver.txt").write_text(word, "utf-8")
    except OSError as error:
        raise EnvironmentError(
            f"the folder of runs must be writable, but {runs} is not: {error.strerror}; "
            f"choose another with --runs, RAYLT_RUNS or `runs` of the profile"
        ) from error
    try:
        yield folder, word
    finally:
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()


def demand_shared(runs: Path, machines: Sequence[Node]) -> list[Node]:
    """Every machine must read what this one writes among the studies, and the other way round.

    Returns:
        The machines without those that have left the cluster meanwhile: one that lost its power a
        moment ago is still listed for some seconds.

    Raises:
        EnvironmentError: one does not, so its trials' checkpoints would be lost.
    """
    with probe_folder(runs) as (folder, word):
        answers = ask(machines, folder=folder, tracking_uri=None)
        there = _staying(machines)
        apart = [
            f"{node.name} ({why})"
            for node in there
            if (why := not_shared(answers[node], folder, word))
        ]
    if apart:
        raise EnvironmentError(
            f"the folder of runs must be one folder on all {len(there)} machines, but {runs} "
            f"is not on {', '.join(apart)}; name a folder on NFS or Lustre with --runs or `runs` "
            f"of the profile, and see `raylt doctor`"
        )
    return there


def ask_bucket(machines: Sequence[Node], uri: str) -> dict[Node, str]:
    """Why each machine cannot write and read a bucket, or ""."""
    return _everywhere(bucket.trouble, {node: (uri,) for node in machines})


def demand_bucket(uri: str, machines: Sequence[Node]) -> list[Node]:
    """Every machine must write and read the bucket of checkpoints.

    Returns:
        The machines without those that have left the cluster meanwhile.

    Raises:
        EnvironmentError: one does not, so its trials' checkpoints would be lost.
    """
    answers = ask_bucket(machines, uri)
    there = _staying(machines)
    apart = [f"{node.name} ({why})" for node in there if (why := answers[node])]
    if apart:
        raise EnvironmentError(
            f"all {len(there)} machines must write the bucket of checkpoints, but {uri} cannot be "
            f"written on {', '.join(apart)}; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, "
            f"for a server of your own, AWS_ENDPOINT_URL where Ray is started"
        )
    return there


def _staying(machines: Sequence[Node]) -> list[Node]:
    """Those of the machines that have not left the cluster meanwhile."""
    alive = {node.id for node in nodes()}
    return [node for node in machines if node.id in alive]


def not_shared(answer: Facts | str, folder: Path, word: str) -> str:
    """Why a machine does not share the folder, or ""."""
    if isinstance(answer, str):
        return answer
    if answer.trouble:
        return answer.trouble
    if answer.read != word:
        return "it reads another file there"
    if not (folder / answer.wrote).is_file():
        return "what it writes there is not seen here"
    return ""


def _demand_head(address: str) -> None:
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


def _why(address: str, error: Exception, *, has_token: bool) -> str:
    text = " ".join(str(error).split())
    if any(word in text for word in ("AuthToken", "Unauthenticated", "authentication")):
        said = "ours is another" if has_token else "we have none"
        return (
            f"the cluster at {address} must accept our token, but {said}; set RAY_AUTH_MODE=token "
            f"and RAY_AUTH_TOKEN_PATH to a copy of the head's ~/.ray/auth_token"
        )
    if "ersion mismatch" in text:
        return (
            f"Ray and Python must be the same on all machines, but {text[:300]}; install the "
            f"cluster's versions here, or run raylt on one of its machines"
        )
    if isinstance(error, ConnectionError) and address == "auto":
        return (
            "this machine must belong to a Ray cluster to use --address auto, but none runs here; "
            "start one with `ray start --head`, or leave --address out to use this machine alone"
        )
    return (
        f"this machine must belong to the Ray cluster at {address}, but it cannot join: "
        f"{text[:300]}; run `ray start --address={address}` here, or submit from outside with "
        f"--address http://HOST:8265"
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
