"""Whether changes add up: the whole against the sum of its parts, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raylt.space.plan import LEVEL
from raylt.study.verdict import significance

Differences = Mapping[int, float]
"""Seed -> difference; positive is in favour of the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over seeds with its interval."""

    mean: float
    low: float | None
    """Lower end of the 95 % BCa bootstrap interval; None with fewer than two seeds."""
    high: float | None
    seeds: int

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out, over seeds enough to show a difference at all."""
        enough = significance.smallest_p(self.seeds, two_sided=True) <= LEVEL
        return (
            enough
            and self.low is not None
            and self.high is not None
            and (self.low > 0 or self.high < 0)
        )


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of some differences with its interval; None without any."""
    if not values:
        return None
    ends = significance.interval(values, confidence=1 - LEVEL) or (None, None)
    mean = sum(values) / len(values)
    return Estimate(mean=mean, low=ends[0], high=ends[1], seeds=len(values))


def interplay(whole: Differences, parts: Sequence[Differences]) -> Estimate | None:
    """How much more the changes bring together than one by one: the whole less the sum of its
    parts, at each seed that all have; positive where they help each other.

    None without such a seed. Where the changes add up it is 0 at each seed.
    """
    seeds = [seed for seed in whole if all(seed in part for part in parts)]
    return estimate([whole[seed] - sum(part[seed] for part in parts) for seed in seeds])
