"""What a study has cost and may cost: hours of cores and GPUs, and time on the clock.

The sums stand in the study of record, so they go on over kills and resumes. A search that is
killed loses at most the last `INTERVAL` seconds of them, and of a trial nothing up to its last
scored epoch.

Once a budget is spent no trial begins, and those that run end at their next scored epoch: a budget
is overrun by one scored epoch of each of them at most. They stay open in the record, with their
checkpoints, and go on when the study is resumed with a larger budget.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from raylt.schema import InputError
from raylt.space.plan import Budget
from raylt.study.record import provenance
from raylt.study.record.record import Record
from raylt.study.record.text import duration, hours

INTERVAL = 10.0
"""Seconds between two times that the cost of what runs is written down."""
_FACT = "wall_seconds"
_BOOKED = ("cpu_seconds", "gpu_seconds")
_COST = ("seconds", *_BOOKED)
"""The fields of an outcome that say what it cost."""


@dataclass(frozen=True, slots=True)
class Account:
    """One limit of a study's budget, and what was used of it."""

    name: str
    """Its key in the space file."""
    used: float
    """Hours."""
    limit: float
    """Hours."""

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.limit

    @property
    def larger(self) -> str:
        """The limit as an override: twice what is used, once it is spent."""
        hours = f"{2 * self.used if self.spent else self.limit:.3g}"
        return f"{self.name}={hours}{'h' if self.name == 'wall_clock' else ''}"

    def __str__(self) -> str:
        if self.name == "wall_clock":
            return f"{self.name} {duration(3600 * self.used)} of {duration(3600 * self.limit)}"
        return f"{self.name} {hours(self.used)} of {hours(self.limit)} h"


class BudgetMeter:
    """Counts what the trials of a study cost, and says when its budget is spent.

    Args:
        record: The study; the caller holds its lock.
        cpus: Cores that a trial books, over all of its workers.
        gpus: GPUs that it books, over all of its workers.
        alone: Cores and GPUs of a trial that runs alone; None where they are those of any other.
    """

    def __init__(
        self,
        record: Record,
        *,
        cpus: float,
        gpus: float,
        alone: tuple[float, float] | None = None,
    ) -> None:
        self._record = record
        self._budget = record.space.study.budget
        self._usual = (cpus, gpus)
        self._most = alone or (cpus, gpus)
        self._booked: dict[int, tuple[float, float]] = {}
        """Cores and GPUs that each trial books, once it has begun."""
        self._parts: dict[int, float] = {}
        """How much of that it books now, where not all of it."""
        self._running: dict[int, float] = {}
        """When each running trial was last counted, by the monotonic clock."""
        self._costs: dict[int, dict[str, float]] = {
            outcome.number: {name: getattr(outcome, name) for name in _COST}
            for outcome in record.outcomes()
        }
        self._totals = {name: sum(c[name] for c in self._costs.values()) for name in _BOOKED}
        """What all trials have cost, as far as it is counted."""
        self._before: float = record.facts.get(_FACT, 0.0)
        self._began = self._written = time.monotonic()

    def begin(self, number: int, *, alone: bool = False) -> None:
        """Count a trial from now on: its process is up, for the first time or once more."""
        self._count(number)
        self._booked[number] = self._most if alone else self._usual
        self._costs.setdefault(number, dict.fromkeys(_COST, 0.0))
        self._running[number] = time.monotonic()

    def book(self, number: int, part: float) -> None:
        """Count only a part of a trial's cores and GPUs from now on: it has fewer workers."""
        if part != self._parts.get(number, 1.0):
            self._count(number)
            self._parts[number] = part

    def end(self, number: int) -> float:
        """Write the cost of a trial down, which has ended or is interrupted.

        Returns:
            Seconds over all of its attempts.
        """
        seconds = self.keep(number)
        self._running.pop(number, None)
        return seconds

    def keep(self, number: int) -> float:
        """Write down what a trial has cost so far.

        Returns:
            Seconds over all of its attempts.
        """
        self._count(number)
        # A trial that never came to run has no cost.
        cost = self._costs.get(number)
        if cost is None:
            return 0.0
        self._record.spend(number, **cost)
        return cost["seconds"]

    def tick(self) -> None:
        """Write down what was used so far, every `INTERVAL` seconds; cheap to be called often."""
        if time.monotonic() - self._written >= INTERVAL:
            self.write()

    def write(self) -> None:
        """Write down what was used so far."""
        self._written = time.monotonic()
        self._record.note(_FACT, self._wall)
        for number in self._running:
            self.keep(number)

    @property
    def spent(self) -> str:
        """Which limit was reached, in words; "" while none is."""
        if not limits(self._budget):
            return ""
        for number in self._running:
            self._count(number)
        return _spent(accounts_of(self._budget, _hours(wall=self._wall, **self._totals)))

    @property
    def _wall(self) -> float:
        return self._before + time.monotonic() - self._began

    def _count(self, number: int) -> None:
        """Add what a trial has cost since it was last counted."""
        if number not in self._running:
            return
        now = time.monotonic()
        passed, self._running[number] = now - self._running[number], now
        cost = self._costs[number]
        cost["seconds"] += passed
        part = self._parts.get(number, 1.0)
        for name, booked in zip(_BOOKED, self._booked[number], strict=True):
            more = passed * part * booked
            cost[name] += more
            self._totals[name] += more


def used(record: Record) -> dict[str, float]:
    """Hours that a study has used, as far as its record knows, by the key of a budget."""
    outcomes = record.outcomes()
    return _hours(
        wall=record.facts.get(_FACT, 0.0),
        cpu_seconds=sum(outcome.cpu_seconds for outcome in outcomes),
        gpu_seconds=sum(outcome.gpu_seconds for outcome in outcomes),
    )


def accounts(record: Record, budget: Budget | None = None) -> tuple[Account, ...]:
    """Every limit of a study's budget, or of another one, by what the record knows was used."""
    return accounts_of(budget or record.space.study.budget, used(record))


def sentence(record: Record) -> str:
    """The state of a study's budget in words; "" where it has none."""
    current = accounts(record)
    if not current:
        return ""
    return _spent(current) or f"budget used: {', '.join(map(str, current))}"


def spent(record: Record, budget: Budget | None = None) -> tuple[Account, ...]:
    """The limits that a study has reached, by its own budget or by another one."""
    return tuple(account for account in accounts(record, budget) if account.spent)


def require_left(record: Record, budget: Budget, *words: str) -> None:
    """Refuse to go on with a study that may start nothing.

    Raises:
        InputError: the budget is spent.
    """
    if over := spent(record, budget):
        raise InputError(
            f"{record.name}: the budget must have something left to go on, but it is spent: "
            f"{', '.join(map(str, over))}; allow more with `{_resume(record, over, *words)}`"
        )


def resume_command(record: Record) -> str:
    """The command that goes on with a study: with a larger budget where that is spent."""
    return _resume(record, spent(record))


def _resume(record: Record, over: Iterable[Account], *words: str) -> str:
    larger = [f"study.budget.{account.larger}" for account in over]
    return provenance.command(record, "resume", record.name, *larger, *words)


def useless(budget: Budget, gpus: float) -> tuple[str, ...]:
    """What the user should know about limits that can never be reached here."""
    if budget.gpu_hours is None or gpus:
        return ()
    return (
        "study.budget.gpu_hours has no effect, because the trials use no GPU; "
        "set cpu_hours or wall_clock",
    )


def accounts_of(budget: Budget, used: Mapping[str, float]) -> tuple[Account, ...]:
    """Every limit of a budget, given the hours that are used by its keys."""
    return tuple(Account(name, used[name], limit) for name, limit in limits(budget).items())


def _hours(*, wall: float, cpu_seconds: float, gpu_seconds: float) -> dict[str, float]:
    seconds = {"gpu_hours": gpu_seconds, "cpu_hours": cpu_seconds, "wall_clock": wall}
    return {name: count / 3600 for name, count in seconds.items()}


def limits(budget: Budget) -> dict[str, float]:
    """Hours of each limit that a budget sets, by its key in the space file."""
    hours = {
        "gpu_hours": budget.gpu_hours,
        "cpu_hours": budget.cpu_hours,
        "wall_clock": None if budget.seconds is None else budget.seconds / 3600,
    }
    return {name: limit for name, limit in hours.items() if limit is not None}


def _spent(accounts: Iterable[Account]) -> str:
    over = [str(account) for account in accounts if account.spent]
    return f"budget spent: {', '.join(over)}" if over else ""
