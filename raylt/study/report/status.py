"""The state of a study, or of all studies, for people and for programs."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raylt.study.cost import budget
from raylt.study.record import lock, postgres, provenance, revise, storage
from raylt.study.record.record import Record
from raylt.study.record.studies import open_study
from raylt.study.record.text import assignments, duration, score, scores
from raylt.study.verdict import confirmation, test_openings


def study(name: str, runs: Path, url: str | None = None) -> dict[str, Any]:
    """The state of one study, as plain values."""
    with contextlib.closing(open_study(name, runs, url)) as record:
        state = _state(record)
        trials = [asdict(trial) for trial in record.ranking()]
        failed = [str(trial["number"]) for trial in trials if trial["state"] == "failed"]
        logs = provenance.command(record, "logs", record.name, failed[0]) if failed else None
        told = confirmation.brief(record)
        return {**state, **confirmation_of(record), "told": told, "trials": trials, "logs": logs}


def studies(runs: Path, url: str | None = None) -> list[dict[str, Any]]:
    """The state of every study in a folder of runs or on a server, as plain values."""
    names = {*storage.studies(runs), *(postgres.studies(url) if url else ())}
    states: list[dict[str, Any]] = []
    for name in sorted(names):
        with contextlib.closing(open_study(name, runs, url)) as record:
            states.append(_state(record))
    return states


def studies_text(states: Sequence[Mapping[str, Any]], runs: Path) -> str:
    """The state of every study for people, a line each."""
    if not states:
        return (
            f"{runs} holds no study; begin one with `raylt tune`, or name the folder with --runs"
        )
    return "\n".join(map(_sentence, states))


def study_text(state: Mapping[str, Any]) -> str:
    """One study and its trials, best first, for people."""
    lines = [_sentence(state), ""]
    for trial in state["trials"]:
        result = trial["failure"] or " ".join(scores(trial["last"]))
        epoch = int(trial["last"].get("epoch", 0))
        lines.append(
            f"{trial['number']:>4}  {trial['state']:<11}  epoch {epoch:>3}  {result}  "
            f"{assignments(trial['point'])}  {duration(trial['seconds'])}"
        )
    if state["logs"]:
        lines += ["", f"Why a trial failed: {state['logs']}"]
    return "\n".join([*lines, "", *state["told"]])


def confirmation_of(record: Record) -> dict[str, Any]:
    """What is confirmed of a study, and how often its test images were looked at."""
    return {
        "test_openings": len(test_openings.openings(record)),
        "confirmation": confirmation.summary(record),
    }


def what_next(record: Record) -> str:
    """What to do about a study that has no result yet."""
    driver = lock.driver_of(record.folder, record.url)
    if driver is not None and driver.pid != os.getpid():
        return (
            f"the search is running ({driver}), so wait for its first trials to finish; "
            f"`{provenance.command(record, 'status', record.name)}` shows how far they are"
        )
    trials = record.outcomes()
    if sum(trial.over for trial in trials) < record.wanted:
        return f"go on with `{budget.resume_command(record)}`"
    failed = any(trial.state == "failed" for trial in trials)
    more = ["--retry-failed"] if failed else ["--trials", f"+{record.wanted}"]
    return f"go on with `{provenance.command(record, 'resume', record.name, *more)}`"


def _state(record: Record) -> dict[str, Any]:
    driver = lock.driver_of(record.folder, record.url)
    trials = record.ranking()
    best = record.best()
    ended = sum(trial.over for trial in trials) >= record.wanted
    return {
        "study": record.name,
        "state": "running" if driver else "finished" if ended else "unfinished",
        "pid": driver and driver.pid,
        "host": driver and driver.host,
        "wanted": record.wanted,
        "revision": revise.number(record),
        "states": Counter(trial.state for trial in trials),
        "objective": record.objectives[0].metric,
        "best": None if best is None else asdict(best),
        "budget": budget.sentence(record),
        "resume": budget.resume_command(record),
    }


def _sentence(state: Mapping[str, Any]) -> str:
    name, objective, best = state["study"], state["objective"], state["best"]
    driver = f" (process {state['pid']} on {state['host']})" if state["pid"] is not None else ""
    revision = state["revision"]
    revised = f", revision {revision} of the space" if revision > 1 else ""
    counts = ", ".join(f"{n} {word}" for word, n in state["states"].items()) or "none begun"
    parts = [f"{name}: {state['state']}{driver}, {state['wanted']} trials{revised}: {counts}"]
    if best:
        value = score(objective, best["last"].get(objective))
        parts.append(f"best trial {best['number']} with {objective} {value}")
    if state["budget"]:
        parts.append(state["budget"])
    if state["state"] == "unfinished":
        parts.append(f"go on with `{state['resume']}`")
    return "; ".join(parts)
