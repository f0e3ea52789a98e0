"""What `raylt check` says about a space."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from raylt import metrics, recipe
from raylt.escape import text_table
from raylt.space import Leaf, Point, Space
from raylt.space.plan import Study
from raylt.space.space import value_at
from raylt.space.strategy import idle

_SAMPLES = 3


def overview(space: Space, counts: Sequence[int] | None = None) -> dict[str, Any]:
    """Everything that `raylt check` knows, as plain values; `counts` are the training images of
    each class, where the files told."""
    rng = random.Random(space.study.sampler.seed)
    counts = counts or recipe.dataset(space.fixed).train_counts()
    return {
        "file": space.source,
        "digest": space.digest,
        "study": space.study.model_dump(mode="json"),
        "method": space.known["method.name"],
        "dataset": space.known["data.name"],
        "epochs": space.known.get("epochs"),
        "train_counts": counts and list(counts),
        "groups": None
        if counts is None
        else {
            by: {name: len(classes) for name, classes in metrics.groups(counts, by=by).items()}
            for by in ("thresholds", "thirds")
        },
        "leaves": [_leaf(open_leaf) for open_leaf in space.leaves],
        "infeasible": space.infeasible,
        "baseline": space.baseline_point,
        "points": list(space.points),
        "samples": [space.draw(rng) for _ in range(_SAMPLES if space.leaves else 0)],
        "warnings": list(space.warnings),
    }


def text(space: Space, counts: Sequence[int] | None = None) -> str:
    """The same for people: a few paragraphs and two tables."""
    values = overview(space, counts)
    study = space.study
    lines = [
        f"{space.source} is a valid space.",
        "",
        f"study      {study.name}: {_plan(study, searched=bool(space.leaves))}",
        f"objective  {', '.join(f'{o.better} {o.metric}' for o in study.objective)}"
        + "".join(f"; {c.metric} {_bounds(c.min, c.max)}" for c in study.constraints),
        f"method     {values['method']}, encoder {_encoder(space)}, "
        f"{values['epochs'] or 'searched'} epochs",
        f"dataset    {values['dataset']}{_counts(values['train_counts'])}",
    ]
    if study.presets:
        lines.append(f"preset     {study.preset or 'none'}; there is {', '.join(study.presets)}")
    for by, name in (("thresholds", "groups"), ("thirds", "thirds")):
        if values["groups"]:
            sizes = ", ".join(f"{group} {n}" for group, n in values["groups"][by].items())
            lines.append(f"{name:<10} classes: {sizes}")
    if space.leaves:
        lines += ["", *text_table(space.table), "", *_point_table(space, values["samples"])]
    else:
        lines += ["", "Nothing is left open: one training run."]
    if space.require:
        lines += ["", f"require refuses {100 * space.infeasible:.1f} % of draws"]
    if study.baseline:
        lines += ["", f"baseline   {study.baseline.source}"]
    return "\n".join(lines)


def _encoder(space: Space) -> str:
    values = space.fixed.get("encoder", "searched")
    if not isinstance(values, Mapping):
        return str(values)
    more = {key: value for key, value in values.items() if key != "name"}
    words = [key if value is True else f"{key} {value}" for key, value in more.items() if value]
    return " ".join(
        [str(values.get("name", "searched")), *(f"({', '.join(words)})",) * bool(words)]
    )


def _leaf(open_leaf: Leaf) -> dict[str, Any]:
    return {
        "path": open_leaf.path,
        "low": open_leaf.low,
        "high": open_leaf.high,
        "log": "complement" if open_leaf.complement else open_leaf.log,
        "step": open_leaf.step,
        "choices": open_leaf.choices and list(open_leaf.choices),
        "when": open_leaf.when and open_leaf.when.text,
    }


def _plan(study: Study, *, searched: bool) -> str:
    if not searched:
        return "1 run"
    plan = f"{study.trials} trials by {study.sampler.name} (seed {study.sampler.seed})"
    scheduler = study.scheduler
    if not study.stops_early:
        return f"{plan}, none stopped early"
    more = [
        f", {key} {value}"
        for key, value in scheduler.model_dump(exclude={"name", "metric", "grace"}).items()
        if key not in idle("scheduler", scheduler.name)
    ]
    return (
        f"{plan}, stopped early by {scheduler.name} on {study.watched} "
        f"(grace {scheduler.grace}{''.join(more)})"
    )


def _bounds(low: str | None, high: str | None) -> str:
    bounds = [f"at least {low}"] if low is not None else []
    return " and ".join([*bounds, *([f"at most {high}"] if high is not None else [])])


def _counts(counts: Sequence[int] | None) -> str:
    if counts is None:
        return ", whose classes `raylt data show` counts"
    shown = ", ".join(map(str, sorted(counts, reverse=True)[:10]))
    more = f", ... {min(counts)}" if len(counts) > 10 else ""
    return f", {len(counts)} classes with {shown}{more} training images, {sum(counts)} in all"


def _point_table(space: Space, points: Sequence[Point]) -> list[str]:
    rows = [("sample", *(f"{i}" for i in range(1, len(points) + 1)))]
    rows += [
        (open_leaf.path, *(value_at(point, open_leaf) for point in points))
        for open_leaf in space.leaves
    ]
    return text_table(rows)
