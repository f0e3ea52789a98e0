"""Does a search that begins with what an earlier one learned get there in fewer trials?

The protocol was written down before the first of its searches was run, and it is run once:

- A pair of searches of BCL on the digits for each of `SEEDS`, `TRIALS` whole trials each, one
  after the other, TPE as raylt sets it; both of a pair have the same seed and begin with the
  published setting. The cold one knows nothing. The warm one has `study.warm_start: [before]` with
  raylt's default: a quarter of its trials are the best settings of the search `before`, which had
  as many trials on digits at imbalance 20 and 8 pixels, with another seed of sampler and training.
- Two questions. Near: digits at imbalance 50. Far: digits at imbalance 50 and 12 pixels. The space
  is that of somebody who does not know where to look: six leaves, five of them over two to five
  decades, the same in all searches.
- The goal is the accuracy on the 600 validation images that the cold search has at its end. What
  counts is the number of the first trial that reaches it, from 1, on both sides; a warm search
  that does not reach it in its `TRIALS` counts as `TRIALS` + 1. The cold search defines the goal
  and always reaches it, so chance is on its side.
- The mean of the paired differences with a BCa interval of 95 %, and the sign-flip test, as
  `raylt confirm` has them, for each question by itself; less is better. It counts as shown where
  the interval lies below zero, and is published whatever it is.
- Two more rows say what lies behind it and are judged by nobody: the best accuracy after the first
  quarter of the trials and at the end. The best of a search owes some points to its own seed.
- The trials of `before` are not counted: somebody had them anyway. Whoever has no earlier search
  saves nothing by making one.

Each training takes one or two seconds of a core. What is trained is kept in
`warm_start_trainings.jsonl` by the digest of its recipe and is not trained again: a run that was
cut short goes on, and whoever removes the file measures all of it anew.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import optuna

from benchmarks.trainings import Trainings, search, wanted
from raylt.space import Space
from raylt.study.verdict import significance
from raylt.study.warm_start import carried

FILE = Path(__file__).with_name("warm_start_trainings.jsonl")
SEEDS = range(10, 20)
"""Of the pairs; a try-out with `--short` has others."""
TRIALS = 24
BEFORE = 1000
"""Added to the seed of a pair for that of the search before it."""
TARGETS = {
    "near: imbalance 20 to 50": {"data.imbalance": 50},
    "far: imbalance 20 to 50, 8 to 12 pixels": {"data.imbalance": 50, "size": 12},
}


class Pair(NamedTuple):
    """The best accuracy so far after each trial of both searches."""

    warm: list[float]
    cold: list[float]

    def trials_to_goal(self) -> tuple[int, int]:
        """Trials until the accuracy that the cold search has at its end."""
        goal = self.cold[-1]
        return _first(self.warm, goal), _first(self.cold, goal)


def _first(best: Sequence[float], goal: float) -> int:
    return 1 + sum(value < goal for value in best)


def searched(space: Space, runs: Path, trainings: Trainings) -> list[float]:
    """The best accuracy so far after each trial of a search; its record stays in `runs`."""
    warm = carried.carry(space, runs=runs, url=None)
    with contextlib.closing(search(space, runs, trainings, warm)) as study:
        reached = [outcome.last.get("val/accuracy", 0.0) for outcome in study.outcomes()]
    return list(itertools.accumulate(reached, max))


def pairs(seed: int, trials: int, trainings: Trainings) -> list[Pair]:
    """A pair of searches for each question."""
    collected: list[Pair] = []
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        before = wanted("before", BEFORE + seed, trials, **{"data.imbalance": 20})
        searched(before, runs, trainings)
        for number, changes in enumerate(TARGETS.values()):
            cold = wanted(f"cold{number}", seed, trials, **changes)
            sources = {**changes, "study.warm_start": ["before"]}
            warm = wanted(f"warm{number}", seed, trials, **sources)
            first, other = (searched(space, runs, trainings) for space in (warm, cold))
            collected.append(Pair(first, other))
    return collected


def row(name: str, warm: Sequence[float], cold: Sequence[float], *, sign: int) -> str:
    """Means of both sides and the paired difference with its interval and sign-flip test; `sign`
    is -1 where less is better."""
    gaps = [first - other for first, other in zip(warm, cold, strict=True)]
    ends = significance.interval(gaps, confidence=0.95)
    shown = "-" if ends is None else f"{ends[0]:+.1f} ... {ends[1]:+.1f}"
    return (
        f"| {name} | {statistics.mean(warm):.1f} | {statistics.mean(cold):.1f} "
        f"| **{statistics.mean(gaps):+.1f}** | {shown} "
        f"| {significance.sign_flip([sign * gap for gap in gaps]):.3f} |"
    )


def table(result: Sequence[Sequence[Pair]], trials: int) -> list[str]:
    """The rows of both questions.

    Args:
        result: The pairs of each seed, one for each question.
        trials: Of a search.
    """
    lines = [
        "| | warm | cold | difference | interval | p |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for number, name in enumerate(TARGETS):
        of_seeds = [seed[number] for seed in result]
        reached = [pair.trials_to_goal() for pair in of_seeds]
        missed = sum(warm > trials for warm, _ in reached)
        goal = f"{name}: trials to the goal, which {missed} of {len(reached)} warm searches miss"
        lines.append(row(goal, *zip(*reached, strict=True), sign=-1))
        for when, after in (("a quarter of the trials", trials // 4), ("all trials", trials)):
            sides = [[100 * side[after - 1] for side in pair] for pair in of_seeds]
            lines.append(row(f"accuracy after {when}", *zip(*sides, strict=True), sign=1))
    return lines


def section(*, short: bool) -> list[str]:
    """The table as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds, trials = (range(2), 4) if short else (SEEDS, TRIALS)
    collected: list[list[Pair]] = []
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(Path(folder, FILE.name) if short else FILE)
        for seed in seeds:
            collected.append(pairs(seed, trials, trainings))
            reached = [pair.trials_to_goal() for pair in collected[-1]]
            print(f"seed {seed}: {reached}", flush=True)
        trained = len(trainings)
    return [
        f"BCL on the digits, six leaves, {trials} whole trials a search, {len(seeds)} paired "
        f"seeds, {trained} trainings in all. The goal is the accuracy that the cold search of a "
        "pair has at its end; accuracies are in points on the 600 validation images. The "
        "protocol, written before the first search, is the head of `benchmarks/warm_start.py`; "
        "intervals are of 95 % (BCa), p is one-sided, by sign-flips.",
        "",
        *table(collected, trials),
    ]
