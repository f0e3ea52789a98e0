"""The state of a study, or of all studies, for people and for programs."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raylt.schema import InputError, RayltError
from raylt.study.cost import budget
from raylt.study.record import lock, postgres, provenance, revise, storage
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.studies import open_study
from raylt.study.record.text import score
from raylt.study.report import trials_table
from raylt.study.report.columns import Column, Columns
from raylt.study.verdict import answer, confirmation, test_openings
from raylt.study.warm_start import origins


def study(name: str, runs: Path, url: str | None = None) -> dict[str, Any]:
    """The state of one study, as plain values."""
    with contextlib.closing(open_study(name, runs, url)) as record:
        state = _state(record)
        ranking = [asdict(trial) for trial in record.ranking()]
        failed = [str(trial["number"]) for trial in ranking if trial["state"] == "failed"]
        logs = provenance.command(record, "logs", record.name, failed[0]) if failed else None
        summary = confirmation.brief(record)
        return {
            **state,
            **confirmation_of(record),
            "told": summary,
            "trials": ranking,
            "logs": logs,
        }


def studies(runs: Path, url: str | None = None) -> list[dict[str, Any]]:
    """The state of every study in a folder of runs or on a server, as plain values.

    One that cannot be opened has a `study`, a `state` and a `reason`, which says what to do.
    """
    gone = storage.without_record(runs)
    names = {*storage.studies(runs), *gone, *(postgres.studies(url) if url else ())}
    states: list[dict[str, Any]] = []
    for name in sorted(names):
        try:
            with contextlib.closing(open_study(name, runs, url)) as record:
                states.append(_state(record))
        except RayltError as error:
            state = "record gone" if name in gone else "unreadable"
            states.append({"study": name, "state": state, "reason": str(error)})
    return states


def studies_parts(states: Sequence[Mapping[str, Any]], runs: Path) -> list[Columns | str]:
    """The state of every study for people: a table, how to go on with what is not finished, and
    what is wrong with those that cannot be opened."""
    if not states:
        return [
            f"{runs} holds no study; begin one with `raylt tune --space sdclr`, or name the "
            f"folder with --runs"
        ]
    broken = [f"{s['study']} ({s['state']}): {s['reason']}" for s in states if "reason" in s]
    states = [state for state in states if "reason" not in state]
    columns = [
        Column(head="study", cells=[state["study"] for state in states], right=False),
        Column(head="state", cells=[_asked(s) or s["state"] for s in states], right=False),
        Column(head="trials", cells=[*map(_ended, states)]),
        Column(head="best", cells=[*map(_best_score, states)]),
        Column(head="objective", cells=[s["objective"] for s in states], right=False, rank=1),
        Column(head="of these", cells=[*map(_counts, states)], right=False, rank=2),
    ]
    unfinished = [state["resume"] for state in states if state["state"] == "unfinished"]
    unfinished += [
        asked["command"] for s in states for asked in s["questions"] if not asked["running"]
    ]
    lines = [*(f"Go on with: {command}" for command in unfinished), *broken]
    return [*([Columns(columns)] if states else []), *([""] if states and lines else []), *lines]


def study_parts(state: Mapping[str, Any]) -> list[Columns | str]:
    """One study and its trials, best first, for people."""
    outcomes = [Outcome(**trial) for trial in state["trials"]]
    paths = list(dict.fromkeys(path for trial in outcomes for path in trial.point))
    best = state["best"] and state["best"]["number"]
    table = trials_table.table(outcomes, paths, state["objective"], best)
    lines = [f"Failed: trial {o.number}: {o.failure}" for o in outcomes if o.failure]
    if state["logs"]:
        lines.append(f"Why a trial failed: {state['logs']}")
    head = [_sentence(state), *question_lines(state["questions"]), *state["warm_start"], ""]
    star = ["* the baseline"] if any(o.role == "baseline" for o in outcomes) else []
    return [*head, *([table, *star, ""] if outcomes else []), *lines, *state["told"]]


def _ended(state: Mapping[str, Any]) -> str:
    ended = sum(state["states"].get(word, 0) for word in ("complete", "stopped", "failed"))
    return f"{ended}/{state['wanted']}"


def _best_score(state: Mapping[str, Any]) -> str:
    objective, best = state["objective"], state["best"]
    return score(objective, best["last"].get(objective)) if best else "-"


def _counts(state: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} {word}" for word, n in state["states"].items()) or "none begun"


def _asked(state: Mapping[str, Any]) -> str:
    """How far the runs over fresh seeds are, those first that are trained now; "" without any."""
    asked = max(state["questions"], key=lambda asked: asked["running"], default=None)
    if asked is None:
        return ""
    done = f"{asked['ended']} of {asked['wanted']}"
    return (
        f"{asked['verb']}: {done} runs"
        if asked["running"]
        else f"{asked['verb']} unfinished: {done}"
    )


def confirmation_of(record: Record) -> dict[str, Any]:
    """What is confirmed of a study, and how often its test images were looked at."""
    return {
        "test_openings": len(test_openings.openings(record)),
        "confirmation": confirmation.summary(record),
    }


def require_searched(record: Record) -> None:
    """Refuse to compare the trials of a study in which nothing is open.

    Raises:
        InputError: it is one run.
    """
    if not record.searched:
        raise InputError(f"{record.name}: {alone(record)}")


def alone(record: Record) -> str:
    """That one run has nothing to compare, and what can be confirmed instead."""
    source = record.facts.get(provenance.DATA_OF)
    command = "raylt confirm STUDY"
    if source is not None:
        command = provenance.command(record, "confirm", source)
    return (
        f"one run has nothing to compare, for no leaf is open; confirm the search that its "
        f"setting comes from, by `{command}`"
    )


def what_next(record: Record) -> str:
    """What to do about a study that has no result yet."""
    driver = lock.driver_of(record.folder, record.url)
    if driver is not None and driver.pid != os.getpid():
        return (
            f"the search is running ({driver}), so wait for its trials to finish; "
            f"`{provenance.command(record, 'status', record.name)}` shows how far they are"
        )
    trials = record.outcomes()
    if sum(trial.over for trial in trials) < record.wanted:
        return f"go on with `{budget.resume_command(record)}`"
    failed = any(trial.state == "failed" for trial in trials)
    if not (failed or record.searched):
        return "its one training is over; train another setting with `raylt train --study NAME`"
    more = ["--retry-failed"] if failed else ["--trials", f"+{record.wanted}"]
    return f"go on with `{provenance.command(record, 'resume', record.name, *more)}`"


def _state(record: Record) -> dict[str, Any]:
    driver = lock.driver_of(record.folder, record.url)
    ranking = record.ranking()
    best = record.best()
    ended = sum(trial.over for trial in ranking) >= record.wanted
    return {
        "study": record.name,
        "state": "running" if driver else "finished" if ended else "unfinished",
        "pid": driver and driver.pid,
        "host": driver and driver.host,
        "questions": questions(record),
        "searched": record.searched,
        "wanted": record.wanted,
        "revision": revise.number(record),
        "states": Counter(trial.state for trial in ranking),
        "objective": record.objectives[0].metric,
        "best": None if best is None else asdict(best),
        "budget": budget.sentence(record),
        "warm_start": origins.sentences(record),
        "resume": budget.resume_command(record),
    }


def questions(record: Record) -> list[dict[str, Any]]:
    """The questions over fresh seeds that are not answered yet: how far all of these runs are, and
    the command that goes on."""
    driver = lock.driver_of(record.folder, record.url)
    states: list[dict[str, Any]] = []
    for _, runs in answer.seed_runs(record):
        ended = sum(run.over for run in runs.outcomes())
        states += [
            {
                "verb": verb,
                "running": driver is not None and driver.question == verb,
                "ended": ended,
                "wanted": max(asked["wanted"], ended),
                "command": provenance.command(record, verb, record.name, *asked["words"]),
            }
            for verb, asked in runs.facts.get(answer.ASKED, {}).items()
        ]
    return states


def question_lines(states: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same in sentences."""
    lines: list[str] = []
    for asked in states:
        state = "is running" if asked["running"] else "is not finished"
        done = f"{asked['ended']} of {asked['wanted']} runs over fresh seeds are there"
        left = asked["wanted"] - asked["ended"]
        rest = f"about {left} are left" if left else "the answer is left"
        go_on = "" if asked["running"] else f"; go on with `{asked['command']}`"
        lines.append(f"`raylt {asked['verb']}` {state}: {done}, {rest}{go_on}")
    return lines


def _sentence(state: Mapping[str, Any]) -> str:
    name, objective, best = state["study"], state["objective"], state["best"]
    driver = f" (process {state['pid']} on {state['host']})" if state["pid"] is not None else ""
    revision = state["revision"]
    revised = f", revision {revision} of the space" if revision > 1 else ""
    trials = "1 trial" if state["wanted"] == 1 else f"{state['wanted']} trials"
    parts = [f"{name}: {state['state']}{driver}, {trials}{revised}: {_counts(state)}"]
    if not state["searched"]:
        alone = sum(state["states"].values()) == 1
        states = ", ".join(state["states"]) if alone else _counts(state)
        parts = [f"{name}: {state['state']}{driver}, one training: {states}"]
    if best:
        trial = f"best trial {best['number']} with " if state["searched"] else ""
        parts.append(f"{trial}{objective} {_best_score(state)}")
    if state["budget"]:
        parts.append(state["budget"])
    if state["state"] == "unfinished":
        parts.append(f"go on with `{state['resume']}`")
    return "; ".join(parts)
