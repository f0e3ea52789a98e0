"""Rank the trials of several studies, where their numbers mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from raylt.plugins import did_you_mean
from raylt.schema import InputError
from raylt.space.metric_names import METRICS
from raylt.study.record import provenance
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import SHOWN, assignments, duration, listed, plain, score
from raylt.study.report.columns import Column, Columns
from raylt.study.report.trials_table import RANKS
from raylt.study.verdict import test_openings

_EVALUATION = ("labels", "probe")
"""Keys of a recipe's evaluation that decide whether two scores mean the same."""


def compare(records: Sequence[Record], *, metric: str | None, force: bool) -> dict[str, Any]:
    """Rank the finished trials of studies that saw the same data in the same way.

    Args:
        metric: What to rank by; the objective of the first study where None.
        force: Whether to rank anyway where the data or the evaluation differ.

    Returns:
        `metric`, the `ranking`, best first, each trial with its `rank` and `study`, the `studies`,
        and `warnings`: why the numbers may not mean the same.

    Raises:
        InputError: the data or the evaluation differ, or a study has no finished trial with the
            metric.
    """
    metric = metric or records[0].objectives[0].metric
    if metric not in METRICS:
        raise InputError(
            f"--metric must be one that every method reports, but got {metric!r}"
            f"{did_you_mean(metric, METRICS)}; known: {', '.join(METRICS)}"
        )
    unlike = differences(records)
    if unlike and not force:
        raise InputError(
            f"{unlike[0]}; their numbers cannot be compared: search both on the same data in "
            f"the same way, or rank them anyway with --force"
        )
    ranking: list[tuple[Record, Outcome]] = []
    for record in records:
        trials = [trial for trial in record.outcomes() if trial.state == "complete"]
        scored = [(record, trial) for trial in trials if metric in trial.last]
        if not scored:
            raise InputError(
                f"{record.name} must have a finished trial with {metric}, but has none; go on "
                f"with `{provenance.command(record, 'resume', record.name)}`, or choose another "
                f"--metric"
            )
        ranking += scored
    sign = -1 if METRICS[metric] == "maximize" else 1
    ranking.sort(key=lambda pair: (sign * pair[1].last[metric], pair[0].name, pair[1].number))
    return {
        "metric": metric,
        "warnings": [*unlike, *_epochs(ranking)],
        "studies": [*map(_study, records)],
        "ranking": [
            {"rank": rank, "study": record.name, **asdict(trial)}
            for rank, (record, trial) in enumerate(ranking, 1)
        ],
    }


def parts(leaderboard: Mapping[str, Any], *, lines: int) -> list[Columns | str]:
    """A leaderboard for people: a line for each study, then the best `lines` trials."""
    trials = leaderboard["ranking"][:lines]
    metrics = list(dict.fromkeys([leaderboard["metric"], *SHOWN]))
    stars = ["*" if trial["role"] == "baseline" else "" for trial in trials]
    columns = [
        Column(head="rank", cells=[str(trial["rank"]) for trial in trials]),
        Column(head="study", cells=[trial["study"] for trial in trials], right=False),
        Column(
            head="trial", cells=[f"{t['number']}{s}" for t, s in zip(trials, stars, strict=True)]
        ),
        Column(
            head="method", cells=[trial["recipe"]["method"]["name"] for trial in trials], rank=3
        ),
        *(
            Column(
                head=metric.removeprefix("val/"),
                cells=[score(metric, trial["last"].get(metric)) for trial in trials],
                rank=0 if metric == leaderboard["metric"] else RANKS.get(metric, 1),
            )
            for metric in metrics
        ),
        Column(head="epochs", cells=[str(trial["recipe"]["epochs"]) for trial in trials], rank=1),
        Column(head="time", cells=[duration(trial["seconds"]) for trial in trials], rank=4),
        Column(
            head="leaves",
            cells=[assignments(trial["point"]) for trial in trials],
            rank=2,
            right=False,
            wraps=True,
        ),
    ]
    rest = len(leaderboard["ranking"]) - lines
    return [
        *(
            f"{study['study']}: {study['finished']} of {study['trials']} trials finished, "
            f"{duration(study['seconds'])} of training, {study['test_openings']}"
            for study in leaderboard["studies"]
        ),
        "",
        Columns(columns),
        *([f"... and {rest} more finished trials"] if rest > 0 else []),
        "",
        "* a baseline; one seed each, on the validation images",
    ]


def differences(records: Sequence[Record]) -> list[str]:
    """What makes the numbers of studies mean different things, in sentences."""
    first, *others = records
    sentences: list[str] = []
    for other in others:
        names = f"{first.name} and {other.name}"
        prints = first.facts["fingerprint"], other.facts["fingerprint"]
        if prints[0] != prints[1]:
            unlike = _data(first, other) or f"their fingerprints are {prints[0]} and {prints[1]}"
            sentences.append(f"{names} must have seen the same data, but {unlike}")
        for key in _EVALUATION:
            ours, theirs = _evaluation(first, key), _evaluation(other, key)
            if ours != theirs:
                sentences.append(
                    f"{names} must be scored in the same way, but evaluation.{key} is {ours} and "
                    f"{theirs}; give both the same words, such as evaluation.{key}={ours}, in a "
                    f"new study"
                )
    return sentences


def _epochs(ranking: Sequence[tuple[Record, Outcome]]) -> list[str]:
    """A sentence where the trials of one study had other epochs than those of another."""
    of_study: dict[str, set[int]] = {}
    for record, trial in ranking:
        of_study.setdefault(record.name, set()).add(trial.recipe["epochs"])
    if len({frozenset(epochs) for epochs in of_study.values()}) == 1:
        return []
    named = [f"{name} {listed([*map(str, sorted(epochs))])}" for name, epochs in of_study.items()]
    return [
        f"their trials had different epochs, {', '.join(named)}: a longer training may lead by "
        f"that alone; give all the same `epochs` to compare what else differs"
    ]


def _data(first: Record, other: Record) -> str:
    """What the recipes of two studies say of their data differently; "" for nothing."""
    ours, theirs = (
        next((trial.recipe["data"] for trial in record.outcomes() if trial.recipe), {})
        for record in (first, other)
    )
    # Images that are taken as they are have a tail of their own.
    unused = {"imbalance"} if ours.get("natural") or theirs.get("natural") else set[str]()
    return ", ".join(
        f"data.{key} is {plain(ours[key])} and {plain(theirs[key])}"
        for key in ours
        if key in theirs and key not in unused and ours[key] != theirs[key]
    )


def _evaluation(record: Record, key: str) -> str:
    """The values of a key of the evaluation over the trials of a study."""
    recipes = [trial.recipe for trial in record.outcomes() if trial.recipe]
    return ", ".join(sorted({str(recipe["evaluation"][key]) for recipe in recipes})) or "unknown"


def _study(record: Record) -> dict[str, Any]:
    best = record.best()
    trials = record.outcomes()
    return {
        "study": record.name,
        "fingerprint": record.facts["fingerprint"],
        "trials": len(trials),
        "finished": sum(trial.state == "complete" for trial in trials),
        "seconds": sum(trial.seconds for trial in trials),
        "best": None if best is None else best.number,
        "test_openings": test_openings.sentence(record),
    }
