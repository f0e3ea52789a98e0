"""Which leaf the result hangs on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import optuna

from raylt.study import draws
from raylt.study.charts import figure
from raylt.study.charts.figure import Axis, Bars, Chart, Panel
from raylt.study.outcome import Outcome
from raylt.study.progress import short
from raylt.study.record import Record

_A_LEAF = 4
"""Trials for each open leaf without which a share would be chance."""
_LEAST = 8


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
    names = dict(zip([x.path for x in leaves], short([x.path for x in leaves]), strict=True))
    counts = {
        path: sum(path in one.point for one in ranking if one.number in values) for path in order
    }
    ticks = tuple(
        names[path] if counts[path] == len(values) else f"{names[path]} ({counts[path]} trials)"
        for path in order
    )
    bars = Bars(
        name="share", colour=figure.BLUE, lying=True,
        x=tuple(float(i) for i in range(len(order))),
        y=tuple(100 * found[path] for path in order),
    )  # fmt: skip
    return Chart(
        key=key,
        title=title,
        caption=f"PED-ANOVA over {len(values)} trials, {basis}. A leaf that only some trials have "
        f"is weighed among those. The shares tell where to look; they are no test.",
        body=(Panel(title="", x=Axis("share (%)"), y=Axis("", ticks=ticks), marks=(bars,)),),
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
    """The share of each leaf that takes more than one value, summing to 1.

    Args:
        record: The study.
        ranking: Its trials.
        values: The objective of those that count, by their numbers.
    """
    chosen = [one for one in ranking if one.number in values]
    varied = [
        leaf
        for leaf in record.space.leaves
        if len({one.point[leaf.path] for one in chosen if leaf.path in one.point}) > 1
    ]
    # A study of its own: the record's holds stopped trials under values of different epochs.
    study = optuna.create_study(direction=record.objectives[0].better)
    laws = {leaf.path: draws.distribution(leaf) for leaf in varied}
    for one in sorted(chosen, key=lambda one: one.number):
        params = {path: one.point[path] for path in laws if path in one.point}
        study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions={path: laws[path] for path in params},
                value=values[one.number],
            )
        )
    with warnings.catch_warnings():
        # Optuna marks what it has as experimental; the tests hold what is relied on.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = optuna.importance.get_param_importances(study)
    return {path: 0.0 if math.isnan(share) else share for path, share in found.items()}
