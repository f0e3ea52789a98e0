"""Two programs that do the same work, timed in turn: the ratio is what a busy machine keeps."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Pair:
    """One task in two forms."""

    name: str
    published: Work
    raylt: Work
    goal: float | None = None
    """Least ratio that is good enough."""


@dataclass(frozen=True)
class Timed:
    """What a pair took, in seconds: medians over the rounds."""

    pair: Pair
    published: float
    raylt: float
    ratios: tuple[float, ...]
    """Published over raylt, of each round."""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> str:
        if self.pair.goal is None:
            return "-"
        word = "reached" if self.ratio >= self.pair.goal else "missed"
        return f"{self.pair.goal:g}, {word}"


def processor() -> float:
    """Seconds of processor time of this process and of the children that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(pair: Pair, *, rounds: int, clock: Clock = processor) -> Timed:
    """Run both forms once unmeasured, then in turn; each round begins with the other one."""
    pair.published()
    pair.raylt()
    took: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            fast = seconds(pair.raylt, clock)
            slow = seconds(pair.published, clock)
        else:
            slow = seconds(pair.published, clock)
            fast = seconds(pair.raylt, clock)
        took.append((slow, fast))
    return Timed(
        pair,
        statistics.median(slow for slow, _ in took),
        statistics.median(fast for _, fast in took),
        tuple(slow / fast for slow, fast in took),
    )


def seconds(work: Work, clock: Clock) -> float:
    began = clock()
    work()
    return clock() - began


def table(timed: Sequence[Timed], *, unit: str) -> list[str]:
    """Lines of Markdown; `unit` says what a number of seconds is of, such as "s a step"."""
    lines = [
        f"| | published form, {unit} | raylt, {unit} | ratio | rounds | goal |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in timed:
        spread = f"{min(one.ratios):.2f} ... {max(one.ratios):.2f}"
        lines.append(
            f"| {one.pair.name} | {one.published:.3g} | {one.raylt:.3g} | **{one.ratio:.2f}** "
            f"| {len(one.ratios)}: {spread} | {one.verdict} |"
        )
    return lines


def load() -> str:
    """How busy the machine is, over the last minute."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
