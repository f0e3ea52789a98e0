"""The state of a study, or of all studies, for people and for programs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raylt.study.cost import budget
from raylt.study.record import lock, postgres, revise, storage
from raylt.study.record.record import Outcome, Record
from raylt.study.record.studies import open_study
from raylt.study.record.text import duration, plain, score, scores
from raylt.study.verdict import confirmation, test_openings


def trial(outcome: Outcome) -> dict[str, Any]:
    """A trial as plain values."""
    return asdict(outcome)


def study(name: str, runs: Path, url: str | None = None) -> dict[str, Any]:
    """The state of one study, as plain values."""
    with contextlib.closing(open_study(name, runs, url)) as record:
        line = _line(record)
        trials = [trial(one) for one in record.ranking()]
        for one in trials:
            one["state"] = _state(one["state"], driven=line["pid"] is not None)
        told = confirmation.brief(record)
        return {**line, **confirmation_of(record), "told": told, "trials": trials}


def studies(runs: Path, url: str | None = None) -> list[dict[str, Any]]:
    """The state of every study in a folder of runs or on a server, as plain values."""
    names = {*storage.studies(runs), *(postgres.studies(url) if url else ())}
    found: list[dict[str, Any]] = []
    for name in sorted(names):
        with contextlib.closing(open_study(name, runs, url)) as record:
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


def _line(record: Record) -> dict[str, Any]:
    held = lock.driver_of(record.folder, record.url)
    states = {
        _state(state, driven=held is not None): count for state, count in states_of(record).items()
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


def confirmation_of(record: Record) -> dict[str, Any]:
    """What is confirmed of a study, and how often its test images were looked at."""
    return {
        "test_openings": len(test_openings.openings(record)),
        "confirmation": confirmation.summary(record),
    }


def states_of(record: Record) -> dict[str, int]:
    """How many trials are in each state."""
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
