"""Which leaf the result hangs on."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import short
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Bars, Chart, Panel
from raylt.study.search import sampler

_A_LEAF = 4
"""Trials for each open leaf without which a share would be chance."""
_LEAST = 8
_SHADOWS = 3
"""Draws of the leaf of chance, over which the shares are averaged."""
_TREES = 32
"""Trees of each forest."""
CHANCE = "pure chance"
"""A leaf that does nothing: who is not above it has not shown anything."""


_LOOKS: tuple[tuple[str, str, figure.Hatch, bool], ...] = (
    ("share of a leaf", figure.BLUE, "", False),
    ("random numbers", figure.GREY, "/", True),
)


def importance(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The share of each open leaf in what the objective does."""
    key, title = "importance", "Which leaf matters"
    leaves = record.space.leaves
    if len(leaves) < 2:
        return Chart(
            key=key,
            title=title,
            caption="Nothing to weigh: fewer than two leaves are open.",
            body=None,
        )
    needed = max(_LEAST, _A_LEAF * len(leaves))
    values, basis = comparable(record, ranking, needed=needed)
    if len(values) < needed:
        why = f"it needs {needed} trials scored at the same epoch, and there are {len(values)}"
        return figure.nothing(key, title, why)
    found = shares(record, ranking, values)
    order = sorted(found, key=lambda path: -found[path])
    paths = [leaf.path for leaf in leaves]
    names = {**dict(zip(paths, short(paths), strict=True)), CHANCE: CHANCE}
    counts = {path: sum(path in o.point for o in ranking if o.number in values) for path in paths}
    ticks = tuple(
        names[path]
        + (f" ({counts[path]} trials)" if 0 < counts.get(path, 0) < len(values) else "")
        for path in order
    )
    bars = [
        Bars(
            name=name,
            colour=colour,
            hatch=hatch,
            lying=True,
            x=tuple(float(i) for i, path in enumerate(order) if (path == CHANCE) == chance),
            y=tuple(100 * found[path] for path in order if (path == CHANCE) == chance),
        )
        for name, colour, hatch, chance in _LOOKS
    ]
    return Chart(
        key=key,
        title=title,
        caption=f"fANOVA over {len(values)} trials, {basis}. A leaf that only some trials have "
        f"is weighed among those alone. The hatched bar is a leaf of random numbers: what does "
        f"not stand out from it has not shown anything.",
        body=(Panel(title="", x=Axis("share (%)"), y=Axis("", ticks=ticks), marks=tuple(bars)),),
    )


def comparable(
    record: Record, ranking: Sequence[Outcome], *, needed: int
) -> tuple[Mapping[int, float], str]:
    """Objective of each trial at a like epoch, and what that is in words.

    Finished trials are taken if they are enough. Else all trials are, at the last epoch that
    every one of them was scored at: a trial that was stopped early says much about its leaves.
    """
    metric = record.objectives[0].metric
    finished = {
        one.number: one.last[metric]
        for one in ranking
        if one.state == "complete" and metric in one.last
    }
    if len(finished) >= needed:
        return finished, "all of them finished"
    scored = {
        one.number: {int(e["epoch"]): e[metric] for e in record.epochs(one.number) if metric in e}
        for one in ranking
        if one.state in ("complete", "stopped")
    }
    histories = [set(history) for history in scored.values() if history]
    common = set[int].intersection(*histories) if histories else set[int]()
    if not common:
        return finished, "all of them finished"
    epoch = max(common)
    return (
        {number: history[epoch] for number, history in scored.items() if epoch in history},
        f"at epoch {epoch}, which all of them reached",
    )


def shares(
    record: Record, ranking: Sequence[Outcome], values: Mapping[int, float]
) -> dict[str, float]:
    """The share of each leaf that takes more than one value, and that of `CHANCE`.

    The leaves that all trials have sum to 1 with it. A leaf that only some trials have is weighed
    among those, beside the others there; over all trials it would be given what belongs to the
    leaf that it hangs on.

    Args:
        record: The study.
        ranking: Its trials.
        values: The objective of those that count, by their numbers.
    """
    chosen = sorted((o for o in ranking if o.number in values), key=lambda one: one.number)
    paths = [leaf.path for leaf in record.space.leaves]
    everywhere = [path for path in paths if all(path in one.point for one in chosen)]
    found = _weigh(record, chosen, everywhere, values)
    for path in paths:
        having = [one for one in chosen if path in one.point]
        if path not in everywhere and len(having) >= _LEAST:
            among = _weigh(record, having, [*everywhere, path], values)
            found |= {name: share for name, share in among.items() if name == path}
    return found


def _weigh(
    record: Record, chosen: Sequence[Outcome], paths: Sequence[str], values: Mapping[int, float]
) -> dict[str, float]:
    """fANOVA of leaves that all of the chosen trials have, beside a leaf of pure chance."""
    weighed = {
        leaf.path: leaf
        for leaf in record.space.leaves
        if leaf.path in paths and len({one.point[leaf.path] for one in chosen}) > 1
    }
    laws: dict[str, BaseDistribution] = {
        path: sampler.distribution(leaf) for path, leaf in weighed.items()
    }
    sums = dict.fromkeys([*laws, CHANCE], 0.0)
    for seed in range(_SHADOWS):
        rng = random.Random(seed)
        # A study of its own: the record's holds stopped trials under values of other epochs.
        study = optuna.create_study(direction=record.objectives[0].better)
        for one in chosen:
            study.add_trial(
                optuna.trial.create_trial(
                    params={
                        **{p: sampler.inside(leaf, one.point[p]) for p, leaf in weighed.items()},
                        CHANCE: rng.random(),
                    },
                    distributions={**laws, CHANCE: FloatDistribution(0, 1)},
                    value=values[one.number],
                )
            )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        for path in sums:
            sums[path] += found[path] / _SHADOWS
    return sums
