"""Look at studies: the best trial, the state of a study, the MLflow UI."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raylt import recipe
from raylt.changes import Change
from raylt.schema import EnvironmentError, InputError
from raylt.study.cost import budget
from raylt.study.record import lock, postgres, revise, storage
from raylt.study.record.record import Outcome, Record
from raylt.study.record.text import SHOWN, duration, plain, score, scores
from raylt.study.run import driver
from raylt.study.verdict import confirmation, test_openings

_LOOPBACK = "127.0.0.1"
_PATIENCE = 3
"""Seconds that a server is given to end by itself."""


def best(record: Record) -> dict[str, Any]:
    """The best trial and the baseline of a study, as plain values.

    Raises:
        InputError: no trial has finished and kept the constraints.
    """
    found = record.best()
    if found is None:
        states = ", ".join(f"{n} {state}" for state, n in _states(record).items()) or "none"
        raise InputError(
            f"{record.name}: a trial must have finished and kept the constraints, but the trials "
            f"are: {states}; go on with `raylt resume {record.name}`"
        )
    baseline = record.baseline()
    return {
        "study": record.name,
        "objective": [objective.metric for objective in record.objectives],
        "best": trial(found),
        "baseline": None if baseline is None else trial(baseline),
        "retrain": _retrain(record, found),
        **_confirmation(record),
    }


def best_text(record: Record) -> str:
    """The same for people."""
    plain_values = best(record)
    found, baseline = record.best(), record.baseline()
    assert found is not None
    lines = [f"{record.name}: trial {found.number} is the best of {len(record.outcomes())}", ""]
    rows = [("", "best", "baseline")]
    reference: Mapping[str, Any] = baseline.point if baseline else {}
    last = {**found.point, **{k: v for one in _schedule(found) for k, v in one.values.items()}}
    for path in (each.path for each in record.space.leaves):
        rows.append((path, _cell(last, path), _cell(reference, path)))
    scores: Mapping[str, Any] = baseline.last if baseline else {}
    wanted = dict.fromkeys([*(o.metric for o in record.objectives), *SHOWN])
    for name in (name for name in wanted if name in found.last):
        rows.append((name, score(name, found.last[name]), score(name, scores.get(name))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [*_lineage(found), "", *confirmation.brief(record)]
    return "\n".join([*lines, "", f"Train it again: {plain_values['retrain']}"])


def trial(outcome: Outcome) -> dict[str, Any]:
    """A trial as plain values."""
    return asdict(outcome)


def study(name: str, runs: Path, url: str | None = None) -> dict[str, Any]:
    """The state of one study, as plain values."""
    with contextlib.closing(driver.open_study(name, runs, url)) as record:
        line = _line(record)
        trials = [trial(one) for one in record.ranking()]
        for one in trials:
            one["state"] = _state(one["state"], driven=line["pid"] is not None)
        told = confirmation.brief(record)
        return {**line, **_confirmation(record), "told": told, "trials": trials}


def studies(runs: Path, url: str | None = None) -> list[dict[str, Any]]:
    """The state of every study in a folder of runs or on a server, as plain values."""
    names = {*storage.studies(runs), *(postgres.studies(url) if url else ())}
    found: list[dict[str, Any]] = []
    for name in sorted(names):
        with contextlib.closing(driver.open_study(name, runs, url)) as record:
            found.append(_line(record))
    return found


def studies_text(found: Sequence[Mapping[str, Any]], runs: Path) -> str:
    """The same for people."""
    if not found:
        return f"{runs} holds no study; begin one with `raylt tune`, or name the folder by --runs"
    return "\n".join(_sentence(one) for one in found)


def study_text(found: Mapping[str, Any]) -> str:
    """One study and its trials, best first, for people."""
    lines = [_sentence(found), ""]
    for one in found["trials"]:
        told = one["failure"] or " ".join(scores(one["last"]))
        leaves = " ".join(f"{path}={plain(value)}" for path, value in one["point"].items())
        epoch = int(one["last"].get("epoch", 0))
        lines.append(
            f"{one['number']:>4}  {one['state']:<11}  epoch {epoch:>3}  {told}  {leaves}  "
            f"{duration(one['seconds'])}"
        )
    failed = [str(one["number"]) for one in found["trials"] if one["state"] == "failed"]
    if failed:
        lines += ["", f"Why a trial failed: raylt logs {found['study']} {failed[0]}"]
    return "\n".join([*lines, "", *found["told"]])


def serve(runs: Path, tracking_uri: str | None, port: int) -> None:
    """Run an MLflow server over the runs, on this machine only, until Ctrl-C.

    Raises:
        InputError: there is nothing to show.
        EnvironmentError: the port is taken, or the server fails.
    """
    store = runs / "mlflow.db"
    if tracking_uri is None and not store.exists():
        raise InputError(
            f"{store} must hold tracked runs, but does not exist; begin with `raylt tune`, or "
            f"name the folder with --runs"
        )
    if tracking_uri is not None and tracking_uri.startswith(("http://", "https://")):
        raise InputError(
            f"the tracking URI is a server with a UI of its own; open {tracking_uri} in a browser"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise EnvironmentError(
                f"port {port} must be free, but {error.strerror}; choose another with --port"
            ) from None
    environment = {
        **os.environ,
        # The job runner starts eight more processes, which a look at runs does not need.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its greetings, and warnings that are for its own authors.
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", _LOOPBACK, "--port", str(port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    uri = tracking_uri or f"sqlite:///{store.resolve()}"
    command += ["--backend-store-uri", uri, "--registry-store-uri", uri]
    command += ["--artifacts-destination", str((runs / "artifacts").resolve())]
    page = f"http://{_LOOPBACK}:{port}/#/experiments"
    print(f"MLflow shows {runs} on {page} (Ctrl-C ends it)", flush=True)
    # MLflow does not pass signals on to its own children, so all of them are one group of ours.
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            code = server.wait()
        except KeyboardInterrupt:
            return
        finally:
            _end(server)
    raise EnvironmentError(
        f"MLflow's server must run until Ctrl-C, but it ended with code {code}; its messages "
        f"above say why"
    )


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server and its children: first kindly, then for certain."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=_PATIENCE)


def _line(record: Record) -> dict[str, Any]:
    held = lock.driver_of(record.folder, record.url)
    states = {
        _state(state, driven=held is not None): count for state, count in _states(record).items()
    }
    finished = record.best()
    over = sum(one.over for one in record.outcomes())
    return {
        "study": record.name,
        "state": "running"
        if held is not None
        else "unfinished"
        if over < record.wanted
        else "finished",
        "pid": held and held.pid,
        "host": held and held.host,
        "wanted": record.wanted,
        "revision": revise.number(record),
        "states": states,
        "objective": record.objectives[0].metric,
        "best": None if finished is None else trial(finished),
        "budget": budget.sentence(record),
    }


def _state(state: str, *, driven: bool) -> str:
    """A trial's state, seen from outside of the process that drives its study, if one does."""
    # Nobody trains it now: a driver that was ended left it to be taken up again.
    return "interrupted" if state == "running" and not driven else state


def _confirmation(record: Record) -> dict[str, Any]:
    return {
        "test_openings": len(test_openings.openings(record)),
        "confirmation": confirmation.summary(record),
    }


def _states(record: Record) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in record.outcomes():
        counted[one.state] = counted.get(one.state, 0) + 1
    return counted


def _sentence(line: Mapping[str, Any]) -> str:
    states = ", ".join(f"{n} {state}" for state, n in line["states"].items()) or "none begun"
    who = f" (process {line['pid']} on {line['host']})" if line["pid"] is not None else ""
    found = line["best"]
    best = (
        f"; best trial {found['number']} with {line['objective']} "
        f"{score(line['objective'], found['last'].get(line['objective']))}"
        if found
        else ""
    )
    go_on = f"; go on with `raylt resume {line['study']}`" if line["state"] == "unfinished" else ""
    spent = f"; {line['budget']}" if line["budget"] else ""
    trials = f"{line['wanted']} trials"
    if line["revision"] > 1:
        trials += f", revision {line['revision']} of the space"
    return f"{line['study']}: {line['state']}{who}, {trials}: {states}{best}{spent}{go_on}"


def _cell(values: Mapping[str, Any], path: str) -> str:
    return plain(values[path]) if path in values else "-"


def _schedule(found: Outcome) -> tuple[Change, ...]:
    """What changed in the runs that a trial is the end of."""
    return tuple(Change.model_validate(one) for one in found.recipe.get("changes", ()))


def _lineage(found: Outcome) -> list[str]:
    """The schedule that trains a trial's model, and whom it took over from, for people."""
    schedule = _schedule(found)
    if not schedule:
        return []
    told = [
        f"  from epoch {change.epoch + 1}: "
        + ", ".join(f"{path} {plain(value)}" for path, value in change.values.items())
        for change in schedule
    ]
    parents = ", ".join(
        f"from trial {one['parent']} after epoch {one['epoch']}" for one in found.takeovers
    )
    return [
        "",
        "Its values are those of its last epochs; they changed in the run:",
        *told,
        f"It went on {parents}." if parents else "",
    ]


def _retrain(record: Record, found: Outcome) -> str:
    point: Mapping[str, Any] = found.point
    words: list[str] = []
    if schedule := _schedule(found):
        # Its own start may not be where its model began: it went on from others.
        flat = recipe.flat(found.recipe)
        point = {path: flat[path] for path in point}
        changes = json.dumps([change.model_dump() for change in schedule])
        words = [shlex.quote(f"changes={changes}")]
    values = [
        f"{path}={value if isinstance(value, str) else json.dumps(value)}"
        for path, value in point.items()
    ]
    file = record.folder / "space.yaml"
    return " ".join(
        ["raylt train -s", str(file), "--study", f"{record.name}-best", *values, *words]
    )
