"""Does the sampler earn its keep, and what does early stopping cost? Searches of made-up laws.

Both sides of a pair have the same seed, the same number of draws or epochs and the same settings
of the sampler; the laws are in `benchmarks/laws.py`.

Does telling Optuna the truth beat Ray's OptunaSearch? The protocol, written down before its run:

- The question is that of somebody who wants accuracy, and whose many-shot classes may not lose
  more than a point against a published setting: 60 trials, four at a time, ASHA with a grace of 9
  of 27 epochs, TPE of the same seed and settings on both sides, large learning rates that diverge.
  raylt tells Optuna of the constraint, of stopped trials and of failed ones. OptunaSearch is told
  of failures and begins with the baseline, too; constraints it does not know, and a stopped trial
  it tells as complete.
- Each side hands over the best whole trial that keeps the constraint by its own reports, or else
  the baseline; judged is that setting's accuracy without noise. Seeds 0 to 19, the mean of the
  paired differences with a BCa interval of 95 %, published whatever it is, once.
- Two rows say where a difference comes from: the same against an OptunaSearch whose user has
  folded the constraint into the metric by hand, with the floor known from the start; and a search
  without constraint and without failures.
- Pilots had the seeds 1000 to 1013. They decided that the baseline is one that nobody has tuned on
  these images: close to the best setting, as it was before, it leaves 3 draws in 1,000 that keep
  the constraint and beat it, and then neither side finds any. A question with two objectives,
  accuracy and a small spread over the groups of classes, was dropped: over 13 pilot seeds raylt's
  fronts took 34 % of the room beyond the baseline and Ray's 36 %, no difference that would show.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import optuna

from benchmarks.laws import EPOCHS, NOISE, Law
from benchmarks.played import NO_END, SLOTS, Folded, Search, rays_own, truthful
from raylt.study.verdict import significance

PAIRS = 20
BUDGET = 20 * EPOCHS
"""Epochs of the searches that differ in their grace."""
TRIALS = 60
"""Of a search that is compared with Ray's."""
GRACE = 9
"""Epochs before ASHA stops a trial there; see the table of graces."""


def row(name: str, ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Means in points and the paired difference with a BCa interval."""
    gaps = [100 * (first - other) for first, other in zip(ours, theirs, strict=True)]
    ends = significance.interval(gaps, confidence=0.95)
    assert ends is not None
    wins, losses = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
    return (
        f"| {name} | {100 * statistics.mean(ours):.2f} | {100 * statistics.mean(theirs):.2f} "
        f"| **{statistics.mean(gaps):+.2f}** | {ends[0]:+.2f} ... {ends[1]:+.2f} "
        f"| {wins} won, {len(gaps) - wins - losses} equal, {losses} lost |"
    )


HEAD = (
    "| | first | second | difference | interval | of the pairs |",
    "|---|---:|---:|---:|---:|---|",
)


def on_laws(*, short: bool) -> list[str]:
    """The table of samplers and searchers, as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(2 if short else PAIRS)
    whole, trials = (12, 15) if short else (24, TRIALS)
    ours = [truthful(seed, whole, scheduler="{name: none}") for seed in seeds]
    chance = [truthful(seed, whole, scheduler="{name: none}", named="random") for seed in seeds]
    bound = Law(bound=True)
    heard, plain = (
        [
            truthful(seed, trials, scheduler=f"{{name: asha, grace: {GRACE}}}", law=law)
            for seed in seeds
        ]
        for law in (bound, Law())
    )
    rays, folded, rays_plain = (
        [rays_own(seed, trials, law=law, grace=GRACE) for seed in seeds]
        for law in (bound, Folded(bound=True), Law())
    )
    return [
        f"Accuracy in points of the trial that a search chooses, mean over {len(seeds)} seeds, "
        "with the paired difference and its BCa interval of 95 %. The laws are made up (see "
        "`benchmarks/laws.py`): five leaves, one a choice and one conditional, 90 points at "
        "best, a learning curve in which small learning rates look worse at first, and noise of "
        f"{100 * NOISE} points; shown is the value without noise. The protocol is the head of "
        "`benchmarks/sampling.py`.",
        "",
        *HEAD,
        row(f"{whole} whole trials: TPE, random", _best(ours), _best(chance)),
        row(
            f"the question: {trials} trials with ASHA, a constraint and failures; raylt's "
            "searcher, Ray's OptunaSearch",
            _best(heard),
            _best(rays),
        ),
        row(
            "the same, OptunaSearch with the constraint folded into its metric by hand",
            _best(heard),
            _best(folded),
        ),
        row(
            f"{trials} trials with ASHA, without constraint and failures: raylt's searcher, Ray's "
            "OptunaSearch",
            _best(plain),
            _best(rays_plain),
        ),
        "",
        f"With ASHA {SLOTS} trials run at a time, a third of them goes on after {GRACE} of "
        f"{EPOCHS} epochs, and both searchers have TPE with the same settings and seed. raylt's "
        f"trained {_mean_epochs(heard)} epochs a search with the constraint, Ray's "
        f"{_mean_epochs(rays)} and {_mean_epochs(folded)} with the metric made by hand; of the "
        f"whole trials {_mean_kept(heard)}, {_mean_kept(rays)} and {_mean_kept(folded)} % kept "
        f"it. Without, {_mean_epochs(plain)} and {_mean_epochs(rays_plain)} epochs.",
    ]


def on_grace(*, short: bool) -> list[str]:
    """The table of graces at equal epochs, as Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(2 if short else PAIRS)
    rows: list[str] = []
    for law, name in ((Law(), "small rates start slowly"), (Law(slow=False), "all start alike")):
        none = [_within(seed, law, "{name: none}") for seed in seeds]
        for grace in (1, 3, 9):
            result = [_within(seed, law, f"{{name: asha, grace: {grace}}}") for seed in seeds]
            trials = statistics.mean(item.trials for item in result)
            rows.append(
                row(
                    f"{name}; grace of {grace} epochs ({trials:.0f} trials), whole trials",
                    _best(result),
                    _best(none),
                )
            )
    return [
        f"ASHA with a grace of 1, 3 or 9 of {EPOCHS} epochs against whole trials, TPE and "
        f"{BUDGET} epochs of training each, on two laws as above, {len(seeds)} seeds.",
        "",
        *HEAD,
        *rows,
    ]


def _within(seed: int, law: Law, scheduler: str) -> Search:
    return truthful(seed, NO_END, scheduler=scheduler, law=law, budget=BUDGET)


def _best(result: Sequence[Search]) -> list[float]:
    return [item.best for item in result]


def _mean_epochs(result: Sequence[Search]) -> str:
    return f"{statistics.mean(item.epochs for item in result):.0f}"


def _mean_kept(result: Sequence[Search]) -> str:
    return f"{100 * statistics.mean(item.kept for item in result):.0f}"
