"""What became of a trial, and which of several trials is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raylt import escape
from raylt.schema import Value
from raylt.space import expressions
from raylt.space.plan import Constraint, Study
from raylt.study.record.text import SHOWN, plain

State = Literal["waiting", "running", "interrupted", "complete", "stopped", "failed"]
"""`stopped` is a trial that the scheduler ended early, PRUNED in Optuna's words; `interrupted` one
that runs by the record while nobody drives the study: `Record.ranking` says so."""

Metrics = Mapping[str, float]

_LATE = {"complete": 0, "stopped": 2, "failed": 3, "running": 4, "interrupted": 4, "waiting": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One trial as the record holds it."""

    number: int
    state: State
    role: str
    """`baseline`, `point` (given in the space file), `warm` (of an earlier study) or `sampled`
    (suggested by the sampler)."""
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
    """Wall-clock time over all attempts, while its process was up."""
    cpu_seconds: float = 0.0
    """Seconds of cores that it booked, over all attempts."""
    gpu_seconds: float = 0.0
    """Seconds of GPUs that it booked, over all attempts."""
    attempts: int = 0
    """How often the trial was started."""
    failure: str = ""
    """Why it failed, in one line."""
    alone: str = ""
    """Why it had to run with no other trial beside it, in one line; "" unless it had to."""
    began: float = 0.0
    """When its process was first up, in seconds since 1970; when it was handed out, as long as no
    process is up and in a study of 0.1.0; 0 while it waits."""
    ended: float = 0.0
    """When it was closed, in seconds since 1970; 0 while it is open."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.state in ("complete", "stopped", "failed")

    @property
    def epoch(self) -> int:
        """Finished epochs at the last score."""
        return int(self.last.get("epoch", 0))

    def _repr_html_(self) -> str:
        """The trial in a notebook: what was open, and the accuracies of its last epoch."""
        rows = [(path, plain(value)) for path, value in self.point.items()]
        rows += [(name, plain(self.last[name])) for name in SHOWN if name in self.last]
        rows += [("failure", self.failure)] if self.failure else []
        return escape.html_table(self._headline(), ("", "value"), rows)

    def __repr__(self) -> str:
        scores = [f", {name} {plain(self.last[name])}" for name in SHOWN[:1] if name in self.last]
        return f"<{self._headline()}{''.join(scores)}>"

    def _headline(self) -> str:
        epoch = f", epoch {self.epoch}" if self.last else ""
        return f"trial {self.number} ({self.role}): {self.state}{epoch}"


def signature(failure: str) -> str:
    """What two failures have in common: the text without its numbers."""
    return "".join(c for c in failure if not c.isdigit())


def failures(outcomes: Iterable[Outcome]) -> list[tuple[list[int], str]]:
    """The failed trials that failed alike, and the failure of the first of them; the most
    frequent failure first."""
    alike: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.number):
        if outcome.state == "failed":
            alike.setdefault(signature(outcome.failure), []).append(outcome)
    groups = sorted(alike.values(), key=lambda group: (-len(group), group[0].number))
    return [([outcome.number for outcome in group], group[0].failure) for group in groups]


def baseline_of(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The trial of the setting that a study is compared with: its latest baseline, for one that
    failed is run again, and another one may take its place."""
    baselines = [outcome for outcome in outcomes if outcome.role == "baseline"]
    return baselines[-1] if baselines else None


def ranked(outcomes: Sequence[Outcome], plan: Study) -> tuple[Outcome, ...]:
    """Best first: finished trials that keep the constraints, then finished ones that do not, then
    those stopped early by how far they came, then failed, running and waiting ones."""
    reference = _reference(outcomes)
    first = plan.objective[0]
    sign = -1 if first.better == "maximize" else 1

    def order(outcome: Outcome) -> tuple[float, ...]:
        score = sign * outcome.last.get(first.metric, sign * math.inf)
        if outcome.state == "complete":
            missed = violations(plan.constraints, outcome.last, reference).values()
            excess = sum(max(0.0, gap) for gap in missed)
            return (float(excess > 0), excess, score, outcome.number)
        return (_LATE[outcome.state], -outcome.epoch, score, outcome.number)

    return tuple(sorted(outcomes, key=order))


def winner(outcomes: Sequence[Outcome], plan: Study) -> Outcome | None:
    """The finished trial that keeps every constraint and has the best objective."""
    first = next(iter(ranked(outcomes, plan)), None)
    if first is None or first.state != "complete":
        return None
    return first if _keeps(first.last, _reference(outcomes), plan) else None


@dataclass(frozen=True, slots=True)
class Step:
    """One more trial has ended."""

    trial: Outcome
    better: bool
    """Whether it was the best when it ended."""
    best: float | None
    """The best objective then; None until a trial has finished and kept the constraints."""


def course(outcomes: Iterable[Outcome], plan: Study) -> tuple[Step, ...]:
    """The trials that have ended, in that order, and the best so far."""
    ended = sorted((o for o in outcomes if o.over), key=lambda o: (o.ended, o.number))
    reference, first = _reference(ended), plan.objective[0]
    sign = 1 if first.better == "maximize" else -1
    steps: list[Step] = []
    best: float | None = None
    for trial in ended:
        value = trial.last.get(first.metric) if trial.state == "complete" else None
        better = (
            value is not None
            and (best is None or sign * value > sign * best)
            and _keeps(trial.last, reference, plan)
        )
        best = value if better else best
        steps.append(Step(trial, better, best))
    return tuple(steps)


def _reference(outcomes: Iterable[Outcome]) -> Metrics:
    """The metrics that constraints are measured against: those of the baseline."""
    baseline = baseline_of(outcomes)
    return baseline.last if baseline else {}


def _keeps(metrics: Metrics, baseline: Metrics, plan: Study) -> bool:
    """Whether every constraint is kept."""
    return all(gap <= 0 for gap in violations(plan.constraints, metrics, baseline).values())


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
    bounds: dict[str, float] = {}
    for side, text in (("min", constraint.min), ("max", constraint.max)):
        if text is None:
            continue
        expression = expressions.parse(text)
        if baseline is not None or not expression.names:
            bounds[side] = expression.number({"baseline": baseline})
    return bounds
