"""The best objective after each trial that ends, without reading the earlier ones again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raylt.study.record.outcome import Metrics, Outcome, improved
from raylt.study.record.record import Record


@dataclass(frozen=True, slots=True)
class Step:
    """One more trial has ended."""

    number: int
    """How many trials have ended, this one included."""
    at: float
    """When it ended, in seconds since 1970."""
    trial: Outcome
    better: bool
    """Whether it was the best when it ended."""
    best: float | None
    """The best objective then; None until a trial has finished and kept the constraints."""


class BestSoFar:
    """Follows the trials of a study in the order in which they end.

    `steps` gives what is new, and gives it again until `advance` confirms that it was sent.

    Args:
        record: The study; another thread may be writing it.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._known = 0
        """Trials whose numbers were seen."""
        self._open: set[int] = set()
        """Seen trials that have not ended."""
        self._ended = 0
        self._best: float | None = None
        self._baseline: Metrics = {}
        self._better: set[int] = set()

    def steps(self) -> tuple[Step, ...]:
        """What ended since the last `advance`."""
        known = self._record.count
        self._open.update(range(self._known, known))
        self._known = known
        outcomes = [self._record.outcome(number) for number in self._open]
        # A trial without a recipe is one for which no point was left.
        ended = sorted(
            (outcome for outcome in outcomes if outcome.over and outcome.recipe),
            key=lambda outcome: (outcome.ended, outcome.number),
        )
        baseline = next((o.last for o in ended if o.role == "baseline"), self._baseline)
        best = self._best
        steps: list[Step] = []
        for number, outcome in enumerate(ended, self._ended + 1):
            value = improved(outcome, best, baseline, self._record.space.study)
            best = best if value is None else value
            steps.append(Step(number, outcome.ended, outcome, value is not None, best))
        return tuple(steps)

    def advance(self, sent: Sequence[Step]) -> None:
        """Do not give these steps again."""
        for step in sent:
            self._open.discard(step.trial.number)
            if step.better:
                self._better.add(step.trial.number)
            if step.trial.role == "baseline":
                self._baseline = step.trial.last
            self._ended, self._best = step.number, step.best

    def was_best(self, outcome: Outcome) -> bool:
        """Whether a trial was the best when it ended, as far as that was sent."""
        return outcome.number in self._better
