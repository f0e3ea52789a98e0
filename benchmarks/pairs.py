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
    """What a pair took in each round, in seconds."""

    pair: Pair
    slow: tuple[float, ...]
    """The published form's."""
    fast: tuple[float, ...]
    """raylt's."""

    @property
    def published(self) -> float:
        return statistics.median(self.slow)

    @property
    def raylt(self) -> float:
        return statistics.median(self.fast)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Published over raylt, of each round."""
        return tuple(slow / fast for slow, fast in zip(self.slow, self.fast, strict=True))

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
    (timed,) = together([pair], rounds=rounds, clock=clock)
    return timed


def together(pairs: Sequence[Pair], *, rounds: int, clock: Clock = processor) -> list[Timed]:
    """`measure` several pairs of one published form, which runs once a round for all of them."""
    works = [pairs[0].published, *(pair.raylt for pair in pairs)]
    for work in works:
        work()
    took: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        turn = list(zip(works, took, strict=True))
        for work, times in reversed(turn) if number % 2 else turn:
            times.append(seconds(work, clock))
    slow, *others = (tuple(times) for times in took)
    return [Timed(pair, slow, fast) for pair, fast in zip(pairs, others, strict=True)]


def against(timed: Timed, others: Sequence[Timed]) -> float:
    """How many times as fast a form is as the best of some others of the same rounds."""
    best = min(others, key=lambda other: other.raylt)
    return statistics.median(a / b for a, b in zip(best.fast, timed.fast, strict=True))


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
    for item in timed:
        spread = f"{min(item.ratios):.2f} ... {max(item.ratios):.2f}"
        lines.append(
            f"| {item.pair.name} | {item.published:.3g} | {item.raylt:.3g} | **{item.ratio:.2f}** "
            f"| {len(item.ratios)}: {spread} | {item.verdict} |"
        )
    return lines


def load() -> str:
    """How busy the machine is, over the last minute."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
