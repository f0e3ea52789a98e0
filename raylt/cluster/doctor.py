"""Check machines before a search uses them: each finding says what is wrong and what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raylt import scratch
from raylt.cluster import address as addresses
from raylt.cluster import capacity, connect, facts, ray_compat, sharing, token
from raylt.cluster.capacity import Node
from raylt.cluster.facts import Facts
from raylt.schema import RayltError
from raylt.settings import Settings, Trial
from raylt.trial.checkpoints import bucket
from raylt.trial.execution import cache, choice

State = Literal["ok", "warning", "error"]

_SKEW = 5.0
"""Seconds between two clocks above which logs mislead; tokens fail at some minutes."""
_LITTLE_DISK = 10 * 2**30
_NO_DISK = 2**30
_LITTLE_SHM = 2**30
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked."""

    check: str
    where: str
    """The machine, or "cluster"."""
    state: State
    found: str
    remedy: str = ""
    """What to do about it; "" where all is well."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the machines answered."""

    here: Facts
    """This machine."""
    answers: Mapping[Node, Facts | str]
    """The facts of each machine, or why it does not answer."""
    began: float
    """When the machines were asked and when all had answered, by this machine's clock."""
    ended: float
    folder: Path
    word: str
    bucket: Mapping[Node, str]
    """Why each machine cannot write the checkpoint bucket, or ""; empty without a bucket."""


def examine(settings: Settings, *, cores: int) -> tuple[Finding, ...]:
    """Check this machine, of which a search without a cluster may use so many cores, or all
    machines of the cluster that it belongs to."""
    try:
        if addresses.way(settings.address) == "here":
            return tuple(_examine_here(settings, cores))
        assert settings.address is not None
        with connect.joined(settings.address):
            return tuple(_examine_cluster(settings))
    except RayltError as error:
        return (_refused("reach", "cluster", error),)


def worst(findings: Sequence[Finding]) -> State:
    """The worst state among findings."""
    states: set[State] = {finding.state for finding in findings}
    return "error" if "error" in states else "warning" if "warning" in states else "ok"


def text(findings: Sequence[Finding]) -> str:
    """The findings as lines, each problem with its remedy under it."""
    marks = {"ok": "ok", "warning": "WARNING", "error": "ERROR"}
    lines: list[str] = []
    for finding in findings:
        lines.append(
            f"{marks[finding.state]:8} {finding.where:16} {finding.check:10} {finding.found}"
        )
        if finding.remedy:
            lines.append(f"{'':8} -> {finding.remedy}")
    count = sum(finding.state != "ok" for finding in findings)
    return "\n".join([*lines, f"{count} of {len(findings)} checks found a problem"])


def judge(survey: Survey) -> Iterator[Finding]:
    """Judge what the machines answered."""
    for node, answer in survey.answers.items():
        if isinstance(answer, str):
            remedy = "install the same raylt there, and look into /tmp/ray/session_latest/logs"
            yield _finding("answer", node.name, "error", answer, remedy)
            continue
        yield _versions(node, answer, survey.here)
        yield _storage(node, answer, survey)
        yield _disk(node, answer, survey)
        yield _shm(node, answer)
        yield _clock(node, answer, survey)
        yield _gpus(node, answer, survey)
        yield _interface(node, answer)
        yield _tracker(node, answer)
    for node, trouble in survey.bucket.items():
        yield _bucket(node, trouble)


def _examine_here(settings: Settings, cores: int) -> Iterator[Finding]:
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    node = Node(id="here", name="this machine", address="127.0.0.1", cpus=cores, gpus=gpus)
    with sharing.probe_folder(settings.runs) as (folder, word):
        began = time.time()
        here = facts.gather(str(folder), node.id, settings.tracking_uri)
        ended = time.time()
        uri = settings.checkpoints
        written = {node: bucket.trouble_in_time(uri)} if uri else {}
        yield from judge(Survey(here, {node: here}, began, ended, folder, word, written))
    yield socket_folder()
    yield _trials_at_a_time([node], settings)
    yield from _steps(settings.runs)


def _examine_cluster(settings: Settings) -> Iterator[Finding]:
    machines = connect.nodes()
    yield _token()
    yield _state_api()
    with sharing.probe_folder(settings.runs) as (folder, word):
        began = time.time()
        answers = sharing.ask(machines, folder=folder, tracking_uri=settings.tracking_uri)
        ended = time.time()
        here = facts.gather(str(folder), "driver-too", settings.tracking_uri)
        uri = settings.checkpoints
        written = sharing.ask_bucket(machines, uri) if uri else {}
        yield from judge(Survey(here, answers, began, ended, folder, word, written))
    yield _trials_at_a_time(machines, settings)
    yield from _steps(settings.runs)


def _finding(check: str, where: str, state: State, result: str, remedy: str) -> Finding:
    """A finding whose remedy is kept only where there is a problem."""
    remedy = "" if state == "ok" else remedy
    return Finding(check=check, where=where, state=state, found=result, remedy=remedy)


def _refused(check: str, where: str, error: RayltError) -> Finding:
    """What an error says must hold, and behind its last semicolon what to do."""
    detail, _, remedy = str(error).rpartition("; ")
    return _finding(check, where, "error", detail, remedy)


def _versions(node: Node, answer: Facts, here: Facts) -> Finding:
    different = [
        f"{name} {version} (here {here.versions[name]})"
        for name, version in answer.versions.items()
        if version != here.versions[name]
    ]
    same = ", ".join(f"{name} {version}" for name, version in answer.versions.items())
    detail, state = (", ".join(different), "error") if different else (same, "ok")
    remedy = "install one set of versions on every machine: one image, or one environment on NFS"
    return _finding("versions", node.name, state, detail, remedy)


def _storage(node: Node, answer: Facts, survey: Survey) -> Finding:
    trouble = sharing.not_shared(answer, survey.folder, survey.word)
    detail = trouble or f"reads and writes {survey.folder.parent}"
    remedy = "name a folder that all machines share with --runs or `runs` of the profile"
    if not survey.bucket:
        return _finding("storage", node.name, "error" if trouble else "ok", detail, remedy)
    # Trials of one worker need only the bucket.
    remedy = f"for trials of several workers: {remedy}"
    return _finding("storage", node.name, "warning" if trouble else "ok", detail, remedy)


def _bucket(node: Node, trouble: str) -> Finding:
    remedy = f"{bucket.CREDENTIALS} where its Ray is started"
    detail = trouble or "reads and writes it"
    return _finding("bucket", node.name, "error" if trouble else "ok", detail, remedy)


def _disk(node: Node, answer: Facts, survey: Survey) -> Finding:
    if answer.disk < 0:
        state = "warning" if survey.bucket else "error"
        return _finding("disk", node.name, state, "the runs folder is not there", "mount it")
    state = "error" if answer.disk < _NO_DISK else "ok"
    if _NO_DISK <= answer.disk < _LITTLE_DISK:
        state = "warning"
    detail = f"{answer.disk / _GIB:.1f} GiB free"
    remedy = "free some, or name another folder with --runs"
    return _finding("disk", node.name, state, detail, remedy)


def _shm(node: Node, answer: Facts) -> Finding:
    state = "warning" if answer.shm < _LITTLE_SHM else "ok"
    detail = f"{answer.shm / _GIB:.1f} GiB free" if answer.shm >= 0 else "no /dev/shm"
    remedy = "give the container --shm-size=2g, or a memory volume at /dev/shm"
    return _finding("/dev/shm", node.name, state, detail, remedy)


def _clock(node: Node, answer: Facts, survey: Survey) -> Finding:
    # It answered between the two moments; its clock is wrong by at least what lies outside.
    skew = max(survey.began - answer.time, answer.time - survey.ended, 0.0)
    if skew <= _SKEW:
        return _finding("clock", node.name, "ok", "agrees", "")
    detail = f"wrong by {skew:.1f} s or more"
    return _finding("clock", node.name, "warning", detail, "run an NTP client on it")


def _gpus(node: Node, answer: Facts, survey: Survey) -> Finding:
    drivers = {a.driver for a in survey.answers.values() if isinstance(a, Facts) and a.driver}
    detail = f"{node.gpus:g} GPUs" + (f", driver {answer.driver}" if answer.driver else "")
    state, remedy = "ok", ""
    if node.gpus and not answer.driver:
        detail = f"{node.gpus:g} GPUs, but no driver"
        state, remedy = "error", "start the container with the GPUs, or install the driver"
    elif answer.driver and not node.gpus:
        detail = f"driver {answer.driver}, but Ray may book no GPU"
        state, remedy = "warning", "start its Ray with --num-gpus"
    elif len(drivers) > 1:
        state, remedy = "warning", "install one driver everywhere"
    return _finding("GPU", node.name, state, detail, remedy)


def _interface(node: Node, answer: Facts) -> Finding:
    name = answer.addresses.get(node.address)
    state = "warning" if answer.addresses and name is None else "ok"
    detail = f"{node.address} is on {name or 'no interface'}"
    remedy = "start its Ray with --node-ip-address, or set GLOO_SOCKET_IFNAME, NCCL_SOCKET_IFNAME"
    return _finding("network", node.name, state, detail, remedy)


def _tracker(node: Node, answer: Facts) -> Finding:
    # Only the driver writes to it, but the driver may run on any machine.
    state = "warning" if answer.tracker else "ok"
    detail = answer.tracker or "answers, or is a file"
    remedy = "start it, open its port, and allow its name (`mlflow server --allowed-hosts`)"
    return _finding("MLflow", node.name, state, detail, remedy)


def _steps(runs: Path) -> Iterator[Finding]:
    """How each kind of machine computes the steps that were measured in a folder of runs."""
    measured = cache.everything(runs)
    if not measured:
        here = f"none was measured yet on {choice.processor()}; the first trial does it"
        yield _finding("steps", "this machine", "ok", here, "")
    for execution in measured:
        detail = f"{execution.machine}, {execution.step}: {execution}"
        yield _finding("steps", "runs folder", "ok", detail, "")


def _trials_at_a_time(nodes: Sequence[Node], trial: Trial) -> Finding:
    try:
        shape = capacity.asked(trial, nodes)
        trials = capacity.require_fit(nodes, shape)
    except RayltError as error:
        return _refused("trials", "cluster", error)
    detail = f"{trials} trials at a time, each {capacity.describe(shape)}"
    return _finding("trials", "cluster", "ok", detail, "")


def socket_folder() -> Finding:
    """Whether the folder of temporary files leaves room for the paths of Ray's sockets."""
    wanted = scratch.candidates()[0]
    try:
        place = scratch.place("ray", longest=ray_compat.LONGEST_FOLDER)
    except RayltError as error:
        return _refused("sockets", "this machine", error)
    reason = "" if str(place) == wanted else f", since {wanted} is too long or cannot be written"
    return _finding("sockets", "this machine", "ok", f"Ray makes them in {place}{reason}", "")


def _token() -> Finding:
    if not token.use():
        remedy = "start every Ray with RAY_AUTH_MODE=token and one token (see SECURITY.md)"
        return _finding("token", "cluster", "error", "the cluster asks for no token", remedy)
    if path := token.exposed():
        detail = f"other users may read {path}"
        return _finding("token", "cluster", "warning", detail, f"chmod 600 {path}")
    return _finding("token", "cluster", "ok", "required, and kept private", "")


def _state_api() -> Finding:
    from ray.util.state import list_nodes

    detail = "it returns nothing"
    try:
        if list_nodes(timeout=20, raise_on_missing_output=False):
            return _finding("State API", "cluster", "ok", "answers", "")
    except Exception as error:
        detail = " ".join(str(error).split())[:200]
    remedy = (
        "install ray[default] on the head and leave its dashboard on; without it the workers of a "
        "lost trial keep their machines forever"
    )
    return _finding("State API", "cluster", "error", detail, remedy)
