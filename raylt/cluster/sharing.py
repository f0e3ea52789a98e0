"""Whether every machine keeps its checkpoints where the others find them.

A trial that loses its machine goes on elsewhere from its checkpoint: in the runs folder, which all
machines share, or in a bucket.
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
_TIMEOUT = 60.0
"""Seconds that a machine may take to start a process and answer."""


def ask(
    nodes: Sequence[Node], *, folder: Path, tracking_uri: str | None
) -> Mapping[Node, Facts | str]:
    """What every machine knows about itself, or why it does not answer.

    Args:
        folder: A folder for the answers; it holds the driver's word in `driver.txt`.
        tracking_uri: MLflow's store; None where it is a file of the driver.
    """
    return _on_each(facts.gather, {node: (str(folder), node.id, tracking_uri) for node in nodes})


def ask_bucket(nodes: Sequence[Node], uri: str) -> dict[Node, str]:
    """Why each machine cannot write and read a bucket, or ""."""
    return _on_each(bucket.trouble, {node: (uri,) for node in nodes})


def _on_each(
    function: Callable[..., _T], arguments: Mapping[Node, tuple[Any, ...]]
) -> dict[Node, _T | str]:
    """What a function returns on every machine, or why it does not."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(num_cpus=0, max_retries=0)(function)
    futures = {
        node: task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(*values)
        for node, values in arguments.items()
    }
    done, _ = ray.wait(list(futures.values()), num_returns=len(futures), timeout=_TIMEOUT)
    answers: dict[Node, _T | str] = {}
    for node, future in futures.items():
        if future not in done:
            answers[node] = f"no answer within {_TIMEOUT:.0f} s"
            ray.cancel(future, force=True)
            continue
        try:
            answers[node] = ray.get(future)
        except Exception as error:
            answers[node] = _last_line(error)
    return answers


@contextlib.contextmanager
def probe_folder(runs: Path) -> Generator[tuple[Path, str]]:
    """A folder in the runs folder for the answers of machines, and the word to be read there.

    Raises:
        EnvironmentError: it cannot be written here.
    """
    folder, word = runs.resolve() / f".probe-{uuid.uuid4().hex}", uuid.uuid4().hex
    try:
        folder.mkdir(parents=True)
        (folder / "driver.txt").write_text(word, "utf-8")
    except OSError as error:
        raise EnvironmentError(
            f"the runs folder must be writable, but {runs} is not: {error.strerror}; choose "
            f"another with --runs, RAYLT_RUNS or `runs` of the profile"
        ) from error
    try:
        yield folder, word
    finally:
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()


def check(runs: Path, checkpoints: str | None, nodes: Sequence[Node]) -> dict[Node, str]:
    """What keeps each machine from writing checkpoints where the others find them, or "": in a
    bucket `checkpoints`, or else in the folder of runs.

    Machines that have left meanwhile are left out: one that lost its power a moment ago is still
    listed for some seconds.

    Raises:
        EnvironmentError: the folder cannot be written here.
    """
    if checkpoints is not None:
        troubles = ask_bucket(nodes, checkpoints)
    else:
        with probe_folder(runs) as (folder, word):
            answers = ask(nodes, folder=folder, tracking_uri=None)
            troubles = {node: not_shared(answers[node], folder, word) for node in nodes}
    alive = {node.id for node in connect.nodes()}
    return {node: troubles[node] for node in nodes if node.id in alive}


def require(runs: Path, checkpoints: str | None, nodes: Sequence[Node]) -> list[Node]:
    """Refuse a machine that does not keep its checkpoints where the others find them.

    Returns:
        The machines that have not left the cluster meanwhile.

    Raises:
        EnvironmentError: there is such a machine.
    """
    troubles = check(runs, checkpoints, nodes)
    wrong = ", ".join(f"{node.name} ({trouble})" for node, trouble in troubles.items() if trouble)
    if not wrong:
        return list(troubles)
    if checkpoints is None:
        raise EnvironmentError(
            f"the runs folder must be one folder on all {len(troubles)} machines, but {runs} is "
            f"not on {wrong}; {remedy(checkpoints)}, and see `raylt doctor`"
        )
    raise EnvironmentError(
        f"all {len(troubles)} machines must be able to write the checkpoint bucket, but "
        f"{checkpoints} cannot be written on {wrong}; {remedy(checkpoints)}"
    )


def remedy(checkpoints: str | None) -> str:
    """What to do about a machine that the others cannot share with."""
    if checkpoints is None:
        return "name a folder on NFS or Lustre with --runs or `runs` of the profile"
    return f"{bucket.CREDENTIALS} where its Ray is started"


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
