"""What became of a trial, and which of several trials is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raylt.schema import Value
from raylt.space import expressions
from raylt.space.plan import Constraint, Study

State = Literal["waiting", "running", "complete", "stopped", "failed"]
"""`stopped` is a trial that the scheduler ended early: PRUNED in Optuna's words."""

Metrics = Mapping[str, float]

_LATE = {"complete": 0, "stopped": 2, "failed": 3, "running": 4, "waiting": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One trial as the record holds it."""

    number: int
    state: State
    role: str
    """`baseline`, `point` (given in the space file) or `draw` (suggested by the sampler)."""
    point: Mapping[str, Value] = field(default_factory=dict)
    """The value of each active open leaf."""
    digest: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The full recipe as plain values."""
    last: Metrics = field(default_factory=dict)
    """Metrics of the last scored epoch, `epoch` among them; the trial is judged by these."""
    best: Metrics = field(default_factory=dict)
    """Metrics of the scored epoch with the best objective."""
    seconds: float = 0.0
    """Wall-clock time over all attempts."""
    cpu_seconds: float = 0.0
    """Seconds of cores that it booked, over all attempts."""
    gpu_seconds: float = 0.0
    """Seconds of GPUs, likewise."""
    attempts: int = 0
    """How often the trial was started."""
    failure: str = ""
    """Why it failed, in one line."""
    alone: str = ""
    """Why it had to run with no other trial beside it, in one line; "" unless it had to."""
    began: float = 0.0
    """When it was first handed out, in seconds since 1970; 0 while it waits."""
    ended: float = 0.0
    """When it was closed, likewise; 0 while it is not."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.state in ("complete", "stopped", "failed")

    @property
    def epoch(self) -> int:
        """Finished epochs at the last score."""
        return int(self.last.get("epoch", 0))


def signature(failure: str) -> str:
    """What two failures have in common: the text without its numbers."""
    return "".join(c for c in failure if not c.isdigit())


def failures(outcomes: Iterable[Outcome]) -> list[tuple[list[int], str]]:
    """The failed trials that failed alike, and the failure of the first of them; the most
    frequent failure first."""
    found: dict[str, list[Outcome]] = {}
    for one in sorted(outcomes, key=lambda one: one.number):
        if one.state == "failed":
            found.setdefault(signature(one.failure), []).append(one)
    groups = sorted(found.values(), key=lambda group: (-len(group), group[0].number))
    return [([one.number for one in group], group[0].failure) for group in groups]


def baseline_of(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The trial of the setting that a study is compared with."""
    return next((one for one in outcomes if one.role == "baseline"), None)


def ranked(outcomes: Sequence[Outcome], plan: Study) -> tuple[Outcome, ...]:
    """Best first: finished trials that keep the constraints, then finished ones that do not, then
    those stopped early by how far they came, then failed, running and waiting ones."""
    baseline = baseline_of(outcomes)
    reference = baseline.last if baseline else {}
    first = plan.objective[0]
    sign = -1 if first.better == "maximize" else 1

    def order(one: Outcome) -> tuple[float, ...]:
        score = sign * one.last.get(first.metric, sign * math.inf)
        if one.state == "complete":
            missed = violations(plan.constraints, one.last, reference).values()
            excess = sum(max(0.0, gap) for gap in missed)
            return (float(excess > 0), excess, score, one.number)
        return (_LATE[one.state], -one.epoch, score, one.number)

    return tuple(sorted(outcomes, key=order))


def winner(outcomes: Sequence[Outcome], plan: Study) -> Outcome | None:
    """The finished trial that keeps every constraint and has the best objective."""
    baseline = baseline_of(outcomes)
    first = next(iter(ranked(outcomes, plan)), None)
    if first is None or first.state != "complete":
        return None
    missed = violations(plan.constraints, first.last, baseline.last if baseline else {})
    return first if all(gap <= 0 for gap in missed.values()) else None


def improvements(outcomes: Iterable[Outcome], plan: Study) -> dict[int, float]:
    """The best so far: each finished trial that keeps the constraints and beats all that ended
    before it, by its number, with its objective; in the order in which they ended."""
    everyone = sorted(outcomes, key=lambda one: (one.ended, one.number))
    baseline = baseline_of(everyone)
    reference = baseline.last if baseline else {}
    found: dict[int, float] = {}
    best: float | None = None
    for one in everyone:
        value = improved(one, best, reference, plan)
        if value is not None:
            found[one.number] = best = value
    return found


def improved(one: Outcome, best: float | None, baseline: Metrics, plan: Study) -> float | None:
    """The objective of a finished trial that keeps the constraints and beats `best`, if it does.

    Args:
        one: The trial.
        best: The objective to beat; None where there is none yet.
        baseline: Metrics of the baseline, as far as they are known.
        plan: Says what is better, and the constraints.
    """
    first = plan.objective[0]
    value = one.last.get(first.metric)
    if one.state != "complete" or value is None:
        return None
    sign = 1 if first.better == "maximize" else -1
    if best is not None and sign * value <= sign * best:
        return None
    missed = violations(plan.constraints, one.last, baseline)
    return value if all(gap <= 0 for gap in missed.values()) else None


def violations(
    constraints: Iterable[Constraint], metrics: Metrics, baseline: Metrics
) -> dict[str, float]:
    """By how much each outcome constraint is missed; 0 or less is kept.

    A bound that speaks of the baseline binds only where the baseline's metric is known.
    """
    missed: dict[str, float] = {}
    for constraint in constraints:
        value = metrics.get(constraint.metric, math.nan)
        for side, bound in _bounds(constraint, baseline.get(constraint.metric)).items():
            gap = bound - value if side == "min" else value - bound
            missed[f"{constraint.metric} {side}"] = math.inf if math.isnan(gap) else gap
    return missed


def _bounds(constraint: Constraint, baseline: float | None) -> dict[str, float]:
    """The known bounds of a constraint by side, `min` or `max`."""
    found: dict[str, float] = {}
    for side, text in (("min", constraint.min), ("max", constraint.max)):
        if text is None:
            continue
        expression = expressions.parse(text)
        if baseline is not None or not expression.names:
            found[side] = expression.number({"baseline": baseline})
    return found
