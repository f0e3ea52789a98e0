"""The best trial of a study against its baseline, and the command that trains it again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from raylt.escape import text_table
from raylt.schema import InputError
from raylt.study.record import provenance, storage
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, at, images_by_class, score, small_sample
from raylt.study.report import status
from raylt.study.verdict import confirmation, floor


def best(record: Record) -> dict[str, Any]:
    """The best trial and the baseline of a study, as plain values.

    Raises:
        InputError: no trial has finished and kept the constraints.
    """
    winner, baseline = record.best(), record.baseline()
    if winner is None:
        counts = Counter(trial.state for trial in record.ranking())
        states = ", ".join(f"{n} {state}" for state, n in counts.items()) or "none"
        kept = " and kept the constraints" if record.space.study.constraints else ""
        raise InputError(
            f"{record.name}: a trial must have finished{kept}, but the trials are: {states}; "
            f"{status.what_next(record)}"
        )
    return {
        "study": record.name,
        "fingerprint": record.facts["fingerprint"],
        "objective": [objective.metric for objective in record.objectives],
        "best": asdict(winner),
        "baseline": None if baseline is None else asdict(baseline),
        "retrain": retrain(record, winner),
        **status.confirmation_of(record),
    }


def best_text(record: Record) -> str:
    """The best trial beside the baseline, and how to train it again, for people."""
    command = best(record)["retrain"]
    winner, baseline = record.best(), record.baseline()
    assert winner is not None
    same = baseline is not None and baseline.number == winner.number
    role = ", the baseline," if same else ""
    place = f"trial {winner.number}{role} is the best of {len(record.outcomes())}"
    columns = {"best": winner}
    if not record.searched:
        place, columns = "one training, for no leaf is open", {"": winner}
    if baseline is not None and not same:
        columns["baseline"] = baseline
    rows = [["", *columns]] if record.searched else []
    for leaf in record.space.leaves:
        rows.append([leaf.path, *(at(trial.point, leaf.path) for trial in columns.values())])
    for metric in dict.fromkeys([*(o.metric for o in record.objectives), *SHOWN]):
        if metric in winner.last:
            scores = [trial.last.get(metric) for trial in columns.values()]
            rows.append([metric, *(score(metric, value) for value in scores)])
    few = small_sample(images_by_class(record.facts))
    known, metric = record.facts["floor"], record.objectives[0].metric
    hint = floor.unbeaten(known, metric, winner, searched=record.searched)
    return "\n".join(
        [
            f"{record.name}: {place}",
            "",
            *text_table(rows),
            "",
            *([f"{hint}."] if hint else []),
            *([f"{few}."] if few else []),
            *confirmation.brief(record),
            "",
            f"Train it again: {command}",
        ]
    )


def retrain(record: Record, trial: Outcome) -> str:
    """The command that trains the setting of a trial again, from the space file of its study and
    under a name that is free."""
    values = [
        f"{path}={value if isinstance(value, str) else json.dumps(value)}"
        for path, value in trial.point.items()
    ]
    file = str(record.folder / "space.yaml")
    winner = record.best()
    which = "best" if winner and winner.number == trial.number else f"trial-{trial.number}"
    again = f"{record.name}-{which if record.searched else 'again'}"
    name = storage.free_name(again, record.folder.parent, record.url)
    named = ["--study", name, "--data-of", record.name]
    return provenance.command(record, "train", "-s", file, *named, *values)
