"""Is it really better? Statistics on the paired differences of a few seeds.

Candidate and baseline are trained with the same seeds and the same order of the images, so each
seed gives one difference. Everything here is exact or has a fixed random stream: the same numbers
give the same verdict.

A candidate is called better if a one-sided sign-flip test says so after Holm's correction over
all candidates, so that the chance of one false "better" among them is at most `level`; and worse
by the mirrored rule. The interval beside it says how large the difference may be; it decides
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raylt.space.plan import LEVEL

Word = Literal["better", "not shown", "worse"]

MOST_SEEDS = 40
"""Seeds whose sign flips can still be counted one by one."""
POWER = 0.8
"""Chance of showing an effect as large as the one observed that `seeds_needed` plans for."""
RESAMPLES = 9999
P_VALUE = (
    "the word is by p, of the gain or loss seen over seeds, after Holm's correction; an interval "
    "is the 95 % one of its comparison alone"
)
"""What `shown_p` shows, and the interval beside it."""
_TIE = 1e-9
"""Sums that differ by less than this share of all magnitudes are equal but for rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the paired differences of one candidate show; positive is in its favour."""

    word: Word
    seeds: int
    """Seeds with both results."""
    mean: float | None
    """Mean difference; None without a pair."""
    low: float | None
    """Lower end of the 95 % BCa bootstrap interval of the mean; None with fewer than two pairs."""
    high: float | None
    """Upper end of the same interval."""
    p: float
    """One-sided sign-flip p-value of "better", for this candidate by itself."""
    p_worse: float
    """The same of "worse"."""
    p_holm: float
    """That of "better", corrected for the number of candidates: what the verdict is by."""
    p_worse_holm: float
    """The same of "worse"."""
    more_seeds: int | None
    """Further seeds that would show a true effect as large as the one observed, with a chance of
    80 %; 0 where it is shown, None where the candidate is not ahead."""


def judge(
    differences: Sequence[Sequence[float]],
    *,
    out_of_race: Sequence[bool],
    failed: Collection[int] = (),
    level: float,
) -> tuple[Verdict, ...]:
    """The verdict of each candidate.

    Args:
        differences: Of each candidate, its difference to the baseline at each common seed.
        out_of_race: Whether a candidate was dropped early, so that it is not judged. It counts
            with a p-value of 1 in Holm's correction, which keeps the test valid whatever made it
            drop out.
        failed: The candidates, by their place, of which runs failed: they are not called better.
        level: Chance of a false "better" over all candidates.
    """
    rows = list(zip(differences, out_of_race, strict=True))
    better = [1.0 if out or i in failed else sign_flip(row) for i, (row, out) in enumerate(rows)]
    worse = [1.0 if out else sign_flip([-x for x in row]) for row, out in rows]
    p_values = zip(better, worse, holm(better), holm(worse), strict=True)
    return tuple(
        _verdict(row, *p, candidates=len(differences), level=level)
        for row, p in zip(differences, p_values, strict=True)
    )


def shown_p(verdict: Mapping[str, Any]) -> float:
    """The corrected p-value of what a stored verdict points to: of a loss where its mean is below
    zero, else of a gain."""
    loss = verdict["mean"] is not None and verdict["mean"] < 0
    return verdict["p_worse_holm" if loss else "p_holm"]


def smallest_p(seeds: int, *, two_sided: bool) -> float:
    """The smallest p-value that a sign-flip test over `seeds` differences can give."""
    return min(1.0, (2 if two_sided else 1) / 2**seeds)


def sign_flip(differences: Sequence[float]) -> float:
    """Exact one-sided sign-flip p-value: how often random signs give as large a sum, or larger.

    Under the hypothesis that candidate and baseline are alike each difference may as well have
    the other sign, so all 2^n sign vectors are equally likely (Fisher, The Design of Experiments,
    1935, section 21). Without a difference nothing is shown: 1.

    Raises:
        ValueError: there are more than `MOST_SEEDS` differences.
    """
    n = len(differences)
    if n > MOST_SEEDS:
        raise ValueError(f"at most {MOST_SEEDS} seeds can be tested exactly, but got {n}")
    values = np.asarray(differences, float)
    # The sums of either half, and for each of the first how many of the second reach far enough.
    first, second = _sums(values[: n // 2]), np.sort(_sums(values[n // 2 :]))
    reached = values.sum() - _TIE * np.abs(values).sum()
    short = np.searchsorted(second, reached - first, side="left").sum()
    return float(1 - short / 2.0**n)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's corrected p-values, in the given order (Holm, Scand. J. Statist. 6, 1979).

    Rejecting those that are at most `level` rejects a true hypothesis with at most that chance.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return tuple(corrected)


def interval(differences: Sequence[float], *, confidence: float) -> tuple[float, float] | None:
    """BCa bootstrap interval of the mean (Efron, JASA 82, 1987); None with fewer than two values.

    Over few seeds it is too short: at 95 % it holds the true mean of six normal differences in
    about 86 of 100 cases, and of twenty in about 92.
    """
    # SciPy's statistics take half a second to import.
    from scipy import stats

    values = np.asarray(differences, float)
    if len(values) < 2:
        return None
    if np.ptp(values) <= _TIE * np.abs(values).max():
        # Resamples of equal values are all equal, where BCa has no answer.
        return float(values.mean()), float(values.mean())
    # SciPy before 1.15 knows no `rng`, which newer stubs would have.
    bootstrap: Any = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=RESAMPLES,
        method="BCa",
        random_state=np.random.default_rng(0),  # pyright: ignore[reportCallIssue]
    )
    # An end that is 0 but for the last bit of a sum must not leave zero out.
    low, high = (round(float(end), 12) for end in bootstrap.confidence_interval)
    return low, high


def seeds_needed(differences: Sequence[float], *, candidates: int, level: float) -> int | None:
    """Seeds in all that would show a true effect as large as the one observed.

    By the normal approximation of a one-sided paired test at `level` / `candidates` with the power
    `POWER`, and at least as many as the smallest p-value asks for. None where the mean is not
    above zero, or nothing is known about the spread.
    """
    values = np.asarray(differences, float)
    if len(values) < 2 or values.mean() <= 0:
        return None
    strict = level / candidates
    reach = NormalDist().inv_cdf(1 - strict) + NormalDist().inv_cdf(POWER)
    by_spread = (reach * values.std(ddof=1) / values.mean()) ** 2
    return max(math.ceil(by_spread), math.ceil(math.log2(1 / strict)))


def _verdict(
    differences: Sequence[float],
    p: float,
    p_worse: float,
    p_holm: float,
    p_worse_holm: float,
    *,
    candidates: int,
    level: float,
) -> Verdict:
    word: Word = "not shown"
    if min(p_holm, p_worse_holm) <= level:
        word = "better" if p_holm <= level else "worse"
    ends = interval(differences, confidence=1 - LEVEL)
    needed = seeds_needed(differences, candidates=candidates, level=level)
    more = None if needed is None else max(1, needed - len(differences))
    return Verdict(
        word=word,
        seeds=len(differences),
        mean=float(np.mean(differences)) if differences else None,
        low=ends[0] if ends else None,
        high=ends[1] if ends else None,
        p=p,
        p_worse=p_worse,
        p_holm=p_holm,
        p_worse_holm=p_worse_holm,
        more_seeds=0 if word == "better" else more,
    )


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums of `values` under every choice of signs, (2^n,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
