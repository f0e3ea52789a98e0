"""The greedy path from the baseline to the winner: at each step the change that gains most.

Fawcett and Hoos, Analysing differences between algorithm configurations through ablation, Journal
of Heuristics 22, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from raylt.study.confirm.race import LOOK, Comparison, Race, hopeless
from raylt.study.confirm.runs import Setting

Taken = frozenset[str]
"""The names of the changes that are taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One step of the path, as validation has chosen it."""

    taken: tuple[str, ...]
    """The change of this step; several where none of the rest can be taken over alone."""
    step: Comparison
    """The setting after the step against the one before."""
    gains: Mapping[str, float]
    """The mean gain of every change that was tried, over the seeds that it was trained with."""
    dropped: Mapping[str, int]
    """A change that was tried -> seeds after which it left the race, behind the leader."""


def walk(
    race: Race, names: Sequence[str], at: Callable[[Taken], Setting | None], *, early: bool
) -> tuple[list[Choice], list[tuple[Setting, int]]]:
    """The path as far as it is trained, and the runs that its next step needs.

    Args:
        race: Its metric, seeds and runs.
        names: The changes.
        at: The setting with some of them taken over, or None where the space has none.
        early: Whether a change that is behind the leader of its step may be dropped.
    """
    path: list[Choice] = []
    taken = Taken()
    while rest := [name for name in names if name not in taken]:
        tries = {(name,): setting for name in rest if (setting := at(taken | {name}))}
        tries = tries or {tuple(rest): at(Taken(names))}
        before = at(taken)
        assert before is not None
        steps = {
            names: Comparison(setting=setting, reference=before)
            for names, setting in tries.items()
            if setting is not None
        }
        dropped, runs = _raced(race, steps, early=early)
        if runs:
            return path, runs
        gains = {names: _mean(race.leads(step, race.seeds)) for names, step in steps.items()}
        best = max((names for names in steps if names not in dropped), key=gains.__getitem__)
        path.append(
            Choice(
                taken=best,
                step=steps[best],
                gains={" + ".join(names): gain for names, gain in gains.items()},
                dropped={" + ".join(names): seeds for names, seeds in dropped.items()},
            )
        )
        taken |= {*best}
    return path, []


def _raced(
    race: Race, steps: Mapping[tuple[str, ...], Comparison], *, early: bool
) -> tuple[dict[tuple[str, ...], int], list[tuple[Setting, int]]]:
    """Who left the race of one step and after how many seeds, and the runs that it still needs."""
    dropped: dict[tuple[str, ...], int] = {}
    block = LOOK if early else len(race.seeds)
    for start in range(0, len(race.seeds), block):
        left = [names for names in steps if names not in dropped]
        settings = [steps[left[0]].reference, *(steps[names].setting for names in left)]
        runs = list(race.runs_of(settings, race.seeds[start : start + block]))
        if any(race.runs.is_open(*run) for run in runs):
            return dropped, runs
        seen = race.seeds[: start + block]
        if len(seen) == len(race.seeds):
            break
        leader = max(left, key=lambda names: _mean(race.leads(steps[names], seen)))
        for names in left:
            behind = Comparison(setting=steps[names].setting, reference=steps[leader].setting)
            if race.is_trained(behind.setting) or not hopeless(race.leads(behind, seen)):
                continue
            dropped[names] = len(seen)
            race.left_after.append((behind.setting, len(seen)))
    return dropped, []


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else -math.inf
