"""Two studies with the same budget: what each found, and what that cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raylt.schema import InputError
from raylt.space.plan import METRICS
from raylt.space.rival import BETWEEN, name
from raylt.study.record.outcome import improvements
from raylt.study.record.text import score

if TYPE_CHECKING:
    from raylt.study.record.record import Record


def partner(study: Record) -> tuple[Record, Record] | None:
    """A study and its rival, whichever of the two is given; None unless both have begun."""
    from raylt.study.record import storage, studies

    runs, url = study.folder.parent, study.url
    if (method := study.space.study.versus) is not None:
        folder = runs / name(study.name, method)
        there = storage.exists(folder, url, folder.name)
        return (study, studies.load(folder, sampler=None, url=url)) if there else None
    first, _, method = study.name.rpartition(BETWEEN)
    if not first or not storage.exists(runs / first, url, first):
        return None
    other = studies.load(runs / first, sampler=None, url=url)
    if other.space.study.versus == method:
        return other, study
    other.close()
    return None


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
    curves = [list(_curve(each)) for each in (study, other)]
    cost = min((curve[-1]["seconds"] if curve else 0.0) for curve in curves)
    return {
        "metric": metric,
        "better": METRICS[metric],
        "cost": cost,
        "studies": [
            {
                "study": each.name,
                "method": each.space.known["method.name"],
                "trials": len(curve),
                "best": curve[-1]["best"] if curve else None,
                "best_at_cost": next(
                    (at["best"] for at in reversed(curve) if at["seconds"] <= cost), None
                ),
                "curve": curve,
            }
            for each, curve in zip((study, other), curves, strict=True)
        ],
    }


def text(found: Mapping[str, Any]) -> str:
    """A comparison for people, in two lines."""
    metric = found["metric"]
    lines = [f"Equal budgets, best {metric.removeprefix('val/')} on validation, one seed:"]
    for each in found["studies"]:
        lines.append(
            f"  {each['method']} ({each['study']}): {score(metric, each['best'])} after "
            f"{each['trials']} trials, {score(metric, each['best_at_cost'])} after "
            f"{found['cost']:.0f} s"
        )
    return "\n".join(lines)


def _curve(study: Record) -> Iterator[dict[str, Any]]:
    outcomes = study.outcomes()
    better = improvements(outcomes, study.space.study)
    ended = [one for one in outcomes if one.state in ("complete", "stopped", "failed")]
    seconds, epochs, best = 0.0, 0, None
    for one in sorted(ended, key=lambda one: (one.ended, one.number)):
        seconds, epochs = seconds + one.seconds, epochs + one.epoch
        best = better.get(one.number, best)
        yield {"trial": one.number, "seconds": seconds, "epochs": epochs, "best": best}
