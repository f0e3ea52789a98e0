"""Whether machines keep what their trials leave behind where the others find it.

A trial that loses its machine goes on elsewhere from its checkpoint: in the folder of runs, which
all machines share, or in a bucket.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from raylt.cluster import connect, facts
from raylt.cluster.capacity import Node
from raylt.cluster.facts import Facts
from raylt.schema import EnvironmentError
from raylt.trial.checkpoints import bucket

_T = TypeVar("_T")
_ASK = 60.0
"""Seconds that a machine may take to start a process and look at itself."""


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


def apart(runs: Path, checkpoints: str | None, machines: Sequence[Node]) -> dict[Node, str]:
    """Why each machine does not keep what its trials leave behind as the others do, or "".

    Those that have left the cluster meanwhile are left out: one that lost its power a moment ago
    is still listed for some seconds.

    Args:
        runs: Folder of all studies.
        checkpoints: A bucket by which the machines can do without sharing the folder, or None.
        machines: Whom to ask.

    Raises:
        EnvironmentError: the folder cannot be written here.
    """
    if checkpoints is not None:
        why = ask_bucket(machines, checkpoints)
    else:
        with probe_folder(runs) as (folder, word):
            answers = ask(machines, folder=folder, tracking_uri=None)
            why = {node: not_shared(told, folder, word) for node, told in answers.items()}
    alive = {node.id for node in connect.nodes()}
    return {node: why[node] for node in machines if node.id in alive}


def demand(runs: Path, checkpoints: str | None, machines: Sequence[Node]) -> list[Node]:
    """Every machine must keep what its trials leave behind where the others find it.

    Returns:
        The machines that have not left the cluster meanwhile.

    Raises:
        EnvironmentError: one does not, so its trials' checkpoints would be lost.
    """
    found = apart(runs, checkpoints, machines)
    wrong = ", ".join(f"{node.name} ({why})" for node, why in found.items() if why)
    if not wrong:
        return list(found)
    if checkpoints is None:
        raise EnvironmentError(
            f"the folder of runs must be one folder on all {len(found)} machines, but {runs} "
            f"is not on {wrong}; {remedy(checkpoints)}, and see `raylt doctor`"
        )
    raise EnvironmentError(
        f"all {len(found)} machines must write the bucket of checkpoints, but {checkpoints} "
        f"cannot be written on {wrong}; {remedy(checkpoints)}"
    )


def remedy(checkpoints: str | None) -> str:
    """What to do where a machine is apart."""
    if checkpoints is None:
        return "name a folder on NFS or Lustre with --runs or `runs` of the profile"
    return f"{bucket.CREDENTIALS} where its Ray is started"


def ask_bucket(machines: Sequence[Node], uri: str) -> dict[Node, str]:
    """Why each machine cannot write and read a bucket, or ""."""
    return _everywhere(bucket.trouble, {node: (uri,) for node in machines})


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


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
