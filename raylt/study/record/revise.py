"""Change a study that has trials: more trials, or a wider space (its next revision)."""

from __future__ import annotations

import datetime
import re
import shlex
from typing import Any

from raylt.schema import InputError
from raylt.space import Space, revision
from raylt.space.file import document as documents
from raylt.space.revision import Change
from raylt.study.record import distributions, studies
from raylt.study.record.record import Record

_FACT = "revisions"


def revisions(record: Record) -> list[dict[str, Any]]:
    """What was changed of the first space, and when: `when`, the text `before`, the `changes` in
    sentences, and the `command`, which old studies do not have."""
    return record.facts.get(_FACT, [])


def number(record: Record) -> int:
    """The revision of a study's space; the first is 1."""
    return 1 + len(revisions(record))


def trials(record: Record, wanted: str) -> None:
    """Change how many trials a study is to have: `40` in all, or `+20` more.

    Raises:
        InputError: it is no such number, or the study has begun more already.
    """
    record.note("trials", count(record, wanted))


def retry_failed(record: Record) -> int:
    """Queue every failed trial again under a new number; returns how many there are."""
    outcomes = record.outcomes()
    # Compared by their points: a waiting trial has no recipe yet.
    known = [dict(outcome.point) for outcome in outcomes if outcome.state != "failed"]
    again = 0
    for outcome in outcomes:
        if outcome.state == "failed" and dict(outcome.point) not in known:
            known.append(dict(outcome.point))
            replaced = outcome.role == "baseline" and outcome != record.baseline()
            record.enqueue(outcome.point, role="point" if replaced else outcome.role)
            again += 1
    record.note("trials", record.wanted + again)
    return again


def count(record: Record, wanted: str) -> int:
    """How many trials a study is to have; nothing is changed.

    Raises:
        InputError: as for `trials`.
    """
    if not re.fullmatch(r"\+?[0-9]{1,9}", wanted):
        raise InputError(f"--trials must be a number, or +N for N more, but got {wanted!r}")
    total = int(wanted) + (record.wanted if wanted[0] == "+" else 0)
    if total > record.wanted and not record.searched:
        raise InputError(
            f"{record.name}: --trials must stay {record.wanted}, for no leaf is open and every "
            f"trial would be the same, but got {wanted}; train another setting with `raylt train "
            f"--study NAME`, or search with `raylt tune`"
        )
    begun = sum(outcome.state != "waiting" for outcome in record.outcomes())
    if total < begun:
        raise InputError(
            f"--trials must be at least {begun}, the trials that {record.name} has begun, but got "
            f"{wanted}; write +N for N more"
        )
    return total


def space(record: Record, new: Space, command: str = "") -> tuple[Change, ...]:
    """Go on with another space, as the next revision; all trials stay, and the sampler's history.
    Another baseline is one more trial.

    Args:
        command: What the user typed.

    Raises:
        InputError: the old trials would not mean the same in it; the message shows the difference.
    """
    changes = revision.changes(record.space, new)
    if any(change.refusal for change in changes):
        lines = "".join(f"\n  {change}" for change in changes)
        raise InputError(
            f"{new.source}: a study may go on with wider ranges, more choices, another baseline "
            f"and another way of searching, but more has changed; undo it, or begin another study "
            f"with `raylt tune --space {shlex.quote(str(new.source))} --study NAME`{lines}"
        )
    if not changes:
        return ()
    # The file of before says how many there were to be at first.
    same = new.study.trials == record.space.study.trials
    wanted = (record.wanted if same else new.study.trials) + _queue(record, new)
    entry = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "before": record.space.text,
        "changes": [str(change) for change in changes],
        "command": command,
    }
    facts = {
        **studies.space_facts(new, record.url),
        _FACT: [*revisions(record), entry],
        "trials": count(record, str(wanted)),
    }
    draft = record.folder / studies.NEXT
    draft.write_text(new.text, "utf-8")
    record.rewrite(
        {distributions.parameter(leaf): distributions.distribution(leaf) for leaf in new.leaves},
        facts,
    )
    draft.replace(record.folder / "space.yaml")
    record.space = new
    return changes


def current_text(record: Record) -> str:
    """The space file of a study with the name and the number of trials that it has by now; in its
    own they are those of the first command."""
    document = documents.parse(record.space.text, record.space.source)
    document = document.put(("study", "name"), record.name)
    return documents.dump(document.put(("study", "trials"), record.wanted).values)


def _queue(record: Record, new: Space) -> int:
    """Queue the baseline of a space, unless it is the study's; returns how many trials that is."""
    baseline, point = record.baseline(), new.baseline_point
    if point is None or not new.leaves or (baseline is not None and dict(baseline.point) == point):
        return 0
    record.enqueue(point, role="baseline")
    return 1
