"""Look at machines before a search does: each finding says what is wrong and what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raylt.cluster import address as addresses
from raylt.cluster import capacity, connect, facts, sharing, token
from raylt.cluster.capacity import Node, Shape
from raylt.cluster.facts import Facts
from raylt.cluster.profile import Trial
from raylt.schema import RayltError
from raylt.trial.checkpoints import bucket

State = Literal["ok", "warning", "error"]

_SKEW = 5.0
"""Seconds between two clocks from which on logs mislead; tokens fail at some minutes."""
_LITTLE_DISK = 10 * 2**30
_NO_DISK = 2**30
_LITTLE_SHM = 2**30
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    where: str
    """The machine, or "cluster"."""
    state: State
    found: str
    remedy: str = ""
    """What to do about it; "" where all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a look around the machines gave."""

    here: Facts
    """This machine."""
    answers: Mapping[Node, Facts | str]
    began: float
    """When the machines were asked and when all had answered, by this machine's clock."""
    ended: float
    folder: Path
    word: str
    bucket: Mapping[Node, str]
    """Why each machine cannot write the bucket of checkpoints, or ""; empty without a bucket."""


def examine(
    *,
    address: str | None,
    runs: Path,
    tracking_uri: str | None,
    checkpoints: str | None = None,
    trial: Trial,
    cores: int,
) -> tuple[Finding, ...]:
    """Look at this machine, or at all machines of the cluster that it belongs to.

    Args:
        address: The cluster, or None.
        runs: Folder of all studies.
        tracking_uri: MLflow's store, or None for a file beside the studies.
        checkpoints: The bucket that keeps the checkpoints, too, or None.
        trial: What a trial books.
        cores: Cores of this machine, for a search without a cluster.
    """
    try:
        if addresses.way(address) == "here":
            return tuple(_examine_here(runs, tracking_uri, checkpoints, trial, cores))
        assert address is not None
        with connect.joined(address):
            return tuple(_examine_cluster(runs, tracking_uri, checkpoints, trial))
    except RayltError as error:
        found, _, remedy = str(error).rpartition("; ")
        return (
            Finding(check="reach", where="cluster", state="error", found=found, remedy=remedy),
        )


def worst(findings: Sequence[Finding]) -> State:
    """The gravest state among findings."""
    states: set[State] = {finding.state for finding in findings}
    return "error" if "error" in states else "warning" if "warning" in states else "ok"


def text(findings: Sequence[Finding]) -> str:
    """The findings as lines, the well ones short."""
    marks = {"ok": "ok", "warning": "WARNING", "error": "ERROR"}
    lines: list[str] = []
    for finding in findings:
        lines.append(
            f"{marks[finding.state]:8} {finding.where:16} {finding.check:10} {finding.found}"
        )
        if finding.remedy:
            lines.append(f"{'':8} -> {finding.remedy}")
    count = sum(finding.state != "ok" for finding in findings)
    return "\n".join([*lines, f"{count} of {len(findings)} findings need a look"])


def judge(look: Round) -> Iterator[Finding]:
    """What the answers of the machines mean."""
    for node, answer in look.answers.items():
        if isinstance(answer, str):
            yield Finding(
                check="answer",
                where=node.name,
                state="error",
                found=answer,
                remedy="install the same raylt there, and look into /tmp/ray/session_latest/logs",
            )
            continue
        yield _versions(node, answer, look.here)
        yield _storage(node, answer, look)
        yield _disk(node, answer, look)
        yield _shm(node, answer)
        yield _clock(node, answer, look)
        yield _gpus(node, answer, look)
        yield _interface(node, answer)
        yield _tracker(node, answer)
    for node, why in look.bucket.items():
        yield _bucket(node, why)


def _examine_here(
    runs: Path, tracking_uri: str | None, checkpoints: str | None, trial: Trial, cores: int
) -> Iterator[Finding]:
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    node = Node(id="here", name="this machine", address="127.0.0.1", cpus=cores, gpus=gpus)
    with sharing.probe_folder(runs) as (folder, word):
        began = time.time()
        here = facts.gather(str(folder), node.id, tracking_uri)
        look = Round(
            here=here,
            answers={node: here},
            began=began,
            ended=time.time(),
            folder=folder,
            word=word,
            bucket={node: bucket.trouble_in_time(checkpoints)} if checkpoints else {},
        )
        yield from judge(look)
    yield _room([node], trial)


def _examine_cluster(
    runs: Path, tracking_uri: str | None, checkpoints: str | None, trial: Trial
) -> Iterator[Finding]:
    machines = connect.nodes()
    yield _token()
    yield _state_api()
    with sharing.probe_folder(runs) as (folder, word):
        began = time.time()
        answers = sharing.ask(machines, folder=folder, tracking_uri=tracking_uri)
        ended = time.time()
        here = facts.gather(str(folder), "driver-too", tracking_uri)
        bucketed = sharing.ask_bucket(machines, checkpoints) if checkpoints else {}
        yield from judge(
            Round(
                here=here,
                answers=answers,
                began=began,
                ended=ended,
                folder=folder,
                word=word,
                bucket=bucketed,
            )
        )
    yield _room(machines, trial)


def _finding(check: str, node: Node, wrong: State | None, found: str, remedy: str) -> Finding:
    """A finding that is well where `wrong` is None."""
    return Finding(
        check=check,
        where=node.name,
        state=wrong or "ok",
        found=found,
        remedy=remedy if wrong else "",
    )


def _versions(node: Node, answer: Facts, here: Facts) -> Finding:
    other = [
        f"{name} {version} (here {here.versions[name]})"
        for name, version in answer.versions.items()
        if version != here.versions[name]
    ]
    found = ", ".join(other) or ", ".join(f"{n} {v}" for n, v in answer.versions.items())
    remedy = "install one set of versions on every machine: one image, or one environment on NFS"
    return _finding("versions", node, "error" if other else None, found, remedy)


def _storage(node: Node, answer: Facts, look: Round) -> Finding:
    why = sharing.not_shared(answer, look.folder, look.word)
    found = why or f"reads and writes {look.folder.parent}"
    remedy = "name a folder that all machines share with --runs or `runs` of the profile"
    if not look.bucket:
        return _finding("storage", node, "error" if why else None, found, remedy)
    # Trials of one worker do without it.
    return _finding(
        "storage",
        node,
        "warning" if why else None,
        found,
        f"for trials of several workers: {remedy}",
    )


def _bucket(node: Node, why: str) -> Finding:
    remedy = f"{bucket.CREDENTIALS} where its Ray is started"
    return _finding("bucket", node, "error" if why else None, why or "reads and writes it", remedy)


def _disk(node: Node, answer: Facts, look: Round) -> Finding:
    wrong: State | None
    if answer.disk < 0:
        wrong = "warning" if look.bucket else "error"
        return _finding("disk", node, wrong, "the folder of runs is not there", "mount it")
    wrong = "warning" if answer.disk < _LITTLE_DISK else None
    wrong = "error" if answer.disk < _NO_DISK else wrong
    found = f"{answer.disk / _GIB:.1f} GiB free"
    return _finding("disk", node, wrong, found, "free some, or name another folder with --runs")


def _shm(node: Node, answer: Facts) -> Finding:
    wrong: State | None = "warning" if answer.shm < _LITTLE_SHM else None
    found = f"{answer.shm / _GIB:.1f} GiB free" if answer.shm >= 0 else "no /dev/shm"
    remedy = "give the container --shm-size=2g, or a memory volume at /dev/shm"
    return _finding("/dev/shm", node, wrong, found, remedy)


def _clock(node: Node, answer: Facts, look: Round) -> Finding:
    # It answered between the two moments; what lies outside of them is its clock's error at least.
    skew = max(look.began - answer.time, answer.time - look.ended, 0.0)
    found = f"{skew:.1f} s off or more" if skew > _SKEW else "agrees"
    return _finding(
        "clock", node, "warning" if skew > _SKEW else None, found, "run an NTP client on it"
    )


def _gpus(node: Node, answer: Facts, look: Round) -> Finding:
    others = {a.driver for a in look.answers.values() if isinstance(a, Facts) and a.driver}
    found = f"{node.gpus:g} GPUs" + (f", driver {answer.driver}" if answer.driver else "")
    if node.gpus and not answer.driver:
        return _finding(
            "GPU",
            node,
            "error",
            f"{found}, but no driver",
            "start the container with the GPUs, or install the driver",
        )
    if answer.driver and not node.gpus:
        return _finding(
            "GPU", node, "warning", f"{found} that Ray may book", "start its Ray with --num-gpus"
        )
    return _finding(
        "GPU", node, "warning" if len(others) > 1 else None, found, "install one driver everywhere"
    )


def _interface(node: Node, answer: Facts) -> Finding:
    name = answer.addresses.get(node.address)
    known = not answer.addresses or name is not None
    found = f"{node.address} is on {name}" if name else f"{node.address} is on no interface"
    remedy = "start its Ray with --node-ip-address, or set GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME"
    return _finding("network", node, None if known else "warning", found, remedy)


def _tracker(node: Node, answer: Facts) -> Finding:
    found = answer.tracker or "answers, or is a file"
    remedy = "start it, open its port, and allow its name (`mlflow server --allowed-hosts`)"
    # Only the driver writes to it, but the driver may come up on any machine.
    return _finding("MLflow", node, "warning" if answer.tracker else None, found, remedy)


def _room(nodes: Sequence[Node], trial: Trial) -> Finding:
    least = trial.min_workers or trial.workers
    try:
        gpus = capacity.gpus(nodes, workers=least, asked=trial.gpus_per_worker, pack=trial.pack)
        shape = Shape(
            workers=trial.workers,
            least=least,
            cpus=trial.cpus_per_worker,
            gpus=gpus,
            placement=trial.placement,
        )
        fit = capacity.require_fit(nodes, shape)
    except RayltError as error:
        found, _, remedy = str(error).rpartition("; ")
        return Finding(check="room", where="cluster", state="error", found=found, remedy=remedy)
    found = f"{fit} trials at a time, each {capacity.describe(shape)}"
    return Finding(check="room", where="cluster", state="ok", found=found)


def _token() -> Finding:
    path = token.exposed()
    if not token.use():
        return Finding(
            check="token",
            where="cluster",
            state="error",
            found="the cluster asks for none",
            remedy="start every Ray with RAY_AUTH_MODE=token and one token (see SECURITY.md)",
        )
    if path is not None:
        found = f"other users may read {path}"
        return Finding(
            check="token",
            where="cluster",
            state="warning",
            found=found,
            remedy=f"chmod 600 {path}",
        )
    return Finding(check="token", where="cluster", state="ok", found="asked for and kept private")


def _state_api() -> Finding:
    from ray.util.state import list_nodes

    why = "it gives nothing"
    try:
        if list_nodes(timeout=20, raise_on_missing_output=False):
            return Finding(check="State API", where="cluster", state="ok", found="answers")
    except Exception as error:
        why = " ".join(str(error).split())[:200]
    return Finding(
        check="State API",
        where="cluster",
        state="error",
        found=why,
        remedy="install ray[default] on the head and leave its dashboard on: without it the "
        "workers of a lost trial keep their machines for ever",
    )
