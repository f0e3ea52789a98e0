"""Equal-budget baselines: another method gets the same trials, rungs and budget.

A new method that was searched beats an old one that was not, whatever it is worth. `--versus
simclr` searches both alike: the same file with the other method in it, where the other method
knows the leaf, as a study of its own beside the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raylt import plugins
from raylt import space as spaces
from raylt.schema import InputError
from raylt.space import Space
from raylt.space.file import document
from raylt.space.plan import METRICS
from raylt.study.record.outcome import improvements
from raylt.study.record.text import score

if TYPE_CHECKING:
    from raylt.study.record.record import Record
    from raylt.study.run.result import Result
    from raylt.study.run.session import Settings

_SECTION = "method."
_BETWEEN = "-versus-"


def rival(space: Space) -> Space:
    """The space of the method that `study.versus` names.

    Raises:
        InputError: there is no such method, it is the space's own, it leaves nothing open, or the
            space has a rule that makes no sense for it.
    """
    method, own = str(space.study.versus), space.known["method.name"]
    where = f"{space.source}: study.versus"
    if method == own:
        raise InputError(f"{where}: must be another method, but got {method}, the space's own")
    fields = plugins.config("methods", method).model_fields
    values = document.parse(space.text, space.source).values
    study, recipe = values["study"], values["recipe"]
    recipe["method"] = {
        **{key: value for key, value in recipe["method"].items() if key in fields},
        "name": method,
    }
    study.pop("versus")
    study["name"] = name(space.study.name, method)
    settings = [study["baseline"]["values"]] if study.get("baseline") else []
    for each in (*settings, *study.get("points", ())):
        for path in [path for path in each if _foreign(path, fields)]:
            del each[path]
    try:
        found = spaces.of(document.parse(document.dump(values), f"{space.source} for {method}"))
    except InputError as error:
        raise InputError(f"{where}: {method} must fit the space, but\n{error}") from None
    if not found.leaves:
        raise InputError(
            f"{where}: must leave something to search, but no open leaf of the space is one of "
            f"{method}'s; open optimizer.lr"
        )
    return found


def name(study: str, method: str) -> str:
    """What the rival's study is called."""
    return f"{study}{_BETWEEN}{method}"


def partner(study: Record) -> tuple[Record, Record] | None:
    """A study and its rival, whichever of the two is given; None unless both have begun."""
    from raylt.study.record import storage, studies

    runs, url = study.folder.parent, study.url
    if (method := study.space.study.versus) is not None:
        folder = runs / name(study.name, method)
        there = storage.exists(folder, url, folder.name)
        return (study, studies.load(folder, sampler=None, url=url)) if there else None
    first, _, method = study.name.rpartition(_BETWEEN)
    if not first or not storage.exists(runs / first, url, first):
        return None
    other = studies.load(runs / first, sampler=None, url=url)
    if other.space.study.versus == method:
        return other, study
    other.close()
    return None


def follow(result: Result, settings: Settings) -> Result | None:
    """Search the rival of a study that has ended, or go on with it; None where there is none."""
    from raylt.study.record import storage
    from raylt.study.run import begin, driver

    if result.versus is None or result.interrupted:
        return None
    study = driver.open_study(result.name, settings.runs, settings.storage)
    other = rival(study.space)
    study.close()
    folder = settings.runs / other.study.name
    if storage.exists(folder, storage.chosen(folder, settings.storage), other.study.name):
        found = driver.resume(other.study.name, settings, retry_failed=False)
    else:
        found = begin.begin(other, settings)
    if not found.interrupted:
        # The first one's report and charts were drawn before there was a rival.
        told = driver.send(result.name, settings)
        found = replace(found, notices=(*found.notices, *told))
    return found


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


def _foreign(path: str, fields: Mapping[str, Any]) -> bool:
    return path.startswith(_SECTION) and path.removeprefix(_SECTION) not in fields


def _curve(study: Record) -> Iterator[dict[str, Any]]:
    outcomes = study.outcomes()
    better = improvements(outcomes, study.space.study)
    ended = [one for one in outcomes if one.state in ("complete", "stopped", "failed")]
    seconds, epochs, best = 0.0, 0, None
    for one in sorted(ended, key=lambda one: (one.ended, one.number)):
        seconds, epochs = seconds + one.seconds, epochs + one.epoch
        best = better.get(one.number, best)
        yield {"trial": one.number, "seconds": seconds, "epochs": epochs, "best": best}
