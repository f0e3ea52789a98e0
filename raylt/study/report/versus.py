"""Two studies with the same budget: what each found, and what that cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raylt.schema import InputError
from raylt.space.metric_names import METRICS
from raylt.space.rival import BETWEEN, name, openness
from raylt.study.record.outcome import course
from raylt.study.record.text import lead, score

if TYPE_CHECKING:
    from raylt.study.record.record import Record


def partner(study: Record) -> tuple[Record, Record] | None:
    """A study and its rival, whichever of the two is given; None unless both have begun."""
    from raylt.study.record import storage, studies

    runs, url = study.folder.parent, study.url
    if (method := study.space.study.versus) is not None:
        folder = runs / name(study.name, method)
        begun = storage.exists(folder, url, folder.name)
        return (study, studies.load(folder, sampler=None, url=url)) if begun else None
    first, _, method = study.name.rpartition(BETWEEN)
    if not first or not storage.exists(runs / first, url, first):
        return None
    other = studies.load(runs / first, sampler=None, url=url)
    if other.space.study.versus == method:
        return other, study
    other.close()
    return None


def beside(study: Record) -> dict[str, Any] | None:
    """The `comparison` of a study and its rival, whichever is given; None unless both have begun.

    Raises:
        InputError: the two have other data.
    """
    pair = partner(study)
    if pair is None:
        return None
    try:
        return comparison(*pair)
    finally:
        for record in pair:
            if record is not study:
                record.close()


def comparison(study: Record, other: Record) -> dict[str, Any]:
    """Two studies by what they cost, as plain values, for a table or a chart.

    Returns:
        `metric`, `better` ("maximize" or "minimize"), `cost` (seconds that both have spent), and
        for each study under `studies` its `study`, `method`, `trials` that have ended, `best`,
        `best_at_cost` and the `curve`: for each ended trial in that order `trial`, the `seconds`
        and `epochs` spent by all trials so far, and the `best` so far (None before the first).

    Raises:
        InputError: the two have other data, so that their numbers say nothing of each other.
    """
    if study.facts["fingerprint"] != other.facts["fingerprint"]:
        raise InputError(
            f"{study.name} and {other.name} must have the same images in the same parts, but "
            f"their fingerprints differ; search one of them again"
        )
    metric = study.objectives[0].metric
    curves = [list(_curve(record)) for record in (study, other)]
    cost = min((curve[-1]["seconds"] if curve else 0.0) for curve in curves)
    return {
        "metric": metric,
        "better": METRICS[metric],
        "cost": cost,
        "studies": [
            {
                "study": record.name,
                "method": record.space.known["method.name"],
                "openness": openness(record.space),
                "trials": len(curve),
                "best": curve[-1]["best"] if curve else None,
                "best_at_cost": next(
                    (step["best"] for step in reversed(curve) if step["seconds"] <= cost), None
                ),
                "curve": curve,
            }
            for record, curve in zip((study, other), curves, strict=True)
        ],
    }


def leader(values: Mapping[str, Any]) -> str:
    """Which method leads, as a sentence; "" where one of them has no best trial yet."""
    metric, studies = values["metric"], values["studies"]
    if any(study["best"] is None for study in studies):
        return ""
    up = values["better"] == "maximize"
    ahead, behind = sorted(studies, key=lambda study: study["best"], reverse=up)
    best, other = (score(metric, study["best"]) for study in (ahead, behind))
    if best == other:
        name = metric.removeprefix("val/")
        return f"{ahead['method']} and {behind['method']} reach the same {name}, {best}; one seed."
    return (
        f"{ahead['method']} leads {behind['method']} over equal trials: {best} against "
        f"{other}, {lead(metric, ahead['best'] - behind['best'])}, one seed each."
    )


def text(values: Mapping[str, Any]) -> str:
    """A comparison for people: a heading, a line for each study, and which method leads."""
    metric = values["metric"]
    return "\n".join(
        [
            f"Equal budgets, best {metric.removeprefix('val/')} on validation, one seed:",
            *(
                f"  {study['method']} ({study['study']}): {score(metric, study['best'])} in "
                f"{study['trials']} trial{'s' * (study['trials'] != 1)}, "
                f"{_at_cost(metric, study)} within the {values['cost']:.0f} s that both had"
                for study in values["studies"]
            ),
            *(f"  {line}" for study in values["studies"] for line in study["openness"]),
            *filter(None, [leader(values)]),
        ]
    )


def _at_cost(metric: str, study: Mapping[str, Any]) -> str:
    value = study["best_at_cost"]
    return "no trial" if value is None else score(metric, value)


def _curve(study: Record) -> Iterator[dict[str, Any]]:
    seconds, epochs = 0.0, 0
    for step in course(study.outcomes(), study.space.study):
        trial = step.trial
        seconds, epochs = seconds + trial.seconds, epochs + trial.epoch
        yield {"trial": trial.number, "seconds": seconds, "epochs": epochs, "best": step.best}
