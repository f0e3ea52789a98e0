"""Which leaf the objective depends on: fANOVA over the trials."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from raylt.study.record.distributions import distribution, to_optuna
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import short
from raylt.study.report.charts import figure
from raylt.study.report.charts.figure import Axis, Bars, Chart

_NAME = ("importance", "Which leaf matters")
_TRIALS_PER_LEAF = 4
"""Trials for each open leaf without which a share would be chance."""
_LEAST = 8
"""Trials that every share needs."""
_REPEATS = 3
"""Draws of the leaf of chance, over which the shares are averaged."""
_TREES = 32
"""Trees of each forest."""
CHANCE = "pure chance"
"""A leaf of random numbers: a leaf whose share is not above its share has shown nothing."""
_STYLES: tuple[tuple[str, str, figure.Hatch, bool], ...] = (
    ("share of a leaf", figure.BLUE, "", False),
    ("random numbers", figure.GREY, "/", True),
)


def importance(record: Record, ranking: Sequence[Outcome]) -> Chart:
    """The share of each open leaf in how the objective varies."""
    paths = [leaf.path for leaf in record.space.leaves]
    if len(paths) < 2:
        return figure.nothing(*_NAME, "fewer than two leaves are open")
    needed = max(_LEAST, _TRIALS_PER_LEAF * len(paths))
    values, basis = comparable(record, ranking, needed=needed)
    if len(values) < needed:
        reason = (
            f"this needs {needed} trials scored at the same epoch, and there are {len(values)}"
        )
        return figure.nothing(*_NAME, reason)
    share_of = shares(record, ranking, values)
    order = sorted(share_of, key=lambda path: -share_of[path])
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
            horizontal=True,
            x=tuple(float(i) for i, path in enumerate(order) if (path == CHANCE) == chance),
            y=tuple(100 * share_of[path] for path in order if (path == CHANCE) == chance),
        )
        for name, colour, hatch, chance in _STYLES
    ]
    return figure.plot(
        *_NAME,
        f"fANOVA over {len(values)} trials, {basis}. A leaf that only some trials have is weighed "
        f"among those alone. The hatched bar is a leaf of random numbers: a leaf that does not "
        f"stand out from it has not shown anything.",
        x=Axis("share (%)"),
        y=Axis("", ticks=ticks),
        marks=bars,
    )


def comparable(
    record: Record, ranking: Sequence[Outcome], *, needed: int
) -> tuple[Mapping[int, float], str]:
    """Objective of each trial at one epoch by its number, and which epoch that is, in words.

    Finished trials are taken if they are enough. Else all trials are, at the last epoch that
    every one of them was scored at: a trial that was stopped early says much about its leaves.
    """
    metric = record.objectives[0].metric
    finished = {
        trial.number: trial.last[metric]
        for trial in ranking
        if trial.state == "complete" and metric in trial.last
    }
    if len(finished) >= needed:
        return finished, "all of them finished"
    scored = {
        trial.number: {
            int(entry["epoch"]): entry[metric]
            for entry in record.epochs(trial.number)
            if metric in entry
        }
        for trial in ranking
        if trial.state in ("complete", "stopped")
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
    leaf that it depends on.

    Args:
        values: The objective of those that count, by their numbers.
    """
    trials = sorted((o for o in ranking if o.number in values), key=lambda trial: trial.number)
    paths = [leaf.path for leaf in record.space.leaves]
    everywhere = [path for path in paths if all(path in trial.point for trial in trials)]
    result = _fanova(record, trials, everywhere, values)
    for path in paths:
        having = [trial for trial in trials if path in trial.point]
        if path not in everywhere and len(having) >= _LEAST:
            among = _fanova(record, having, [*everywhere, path], values)
            if path in among:
                result[path] = among[path]
    return result


def _fanova(
    record: Record, trials: Sequence[Outcome], paths: Sequence[str], values: Mapping[int, float]
) -> dict[str, float]:
    """Shares of leaves that all of the trials have, beside a leaf of pure chance."""
    leaves = {
        leaf.path: leaf
        for leaf in record.space.leaves
        if leaf.path in paths and len({trial.point[leaf.path] for trial in trials}) > 1
    }
    distributions: dict[str, BaseDistribution] = {
        **{path: distribution(leaf) for path, leaf in leaves.items()},
        CHANCE: FloatDistribution(0, 1),
    }
    sums = dict.fromkeys(distributions, 0.0)
    for seed in range(_REPEATS):
        rng = random.Random(seed)
        # A study of its own: the record's holds stopped trials under values of other epochs.
        study = optuna.create_study(direction=record.objectives[0].better)
        for trial in trials:
            params = {p: to_optuna(leaf, trial.point[p]) for p, leaf in leaves.items()}
            study.add_trial(
                optuna.trial.create_trial(
                    params={**params, CHANCE: rng.random()},
                    distributions=distributions,
                    value=values[trial.number],
                )
            )
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
        importances = optuna.importance.get_param_importances(study, evaluator=evaluator)
        for path in sums:
            sums[path] += importances[path] / _REPEATS
    return sums
