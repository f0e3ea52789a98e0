"""The best objective after each trial that ends, found without a look at those that did before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raylt.study.record.outcome import Metrics, Outcome, improved
from raylt.study.record.record import Record


@dataclass(frozen=True, slots=True)
class Step:
    """One more trial has ended."""

    number: int
    """How many have, with this one."""
    at: float
    """When, in seconds since 1970."""
    trial: Outcome
    better: bool
    """Whether it was the best when it ended."""
    best: float | None
    """The best objective from now on; None until a trial has finished and kept the constraints."""


class BestSoFar:
    """Follows the trials of a study in the order in which they end.

    A life: `steps` for what is new, `advance` once that is told; `steps` tells it again if not.

    Args:
        record: The study; another thread may be writing it.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._known = 0
        """Trials whose numbers were seen."""
        self._open: set[int] = set()
        """Those of them that have not ended."""
        self._ended = 0
        self._best: float | None = None
        self._baseline: Metrics = {}
        self._better: set[int] = set()

    def steps(self) -> tuple[Step, ...]:
        """What ended since the last `advance`."""
        known = self._record.count
        self._open.update(range(self._known, known))
        self._known = known
        ended = [one for n in self._open if (one := self._record.outcome(n)).over]
        # A trial without a recipe is one for which no point was left.
        fresh = sorted((o for o in ended if o.recipe), key=lambda o: (o.ended, o.number))
        baseline = next((one.last for one in fresh if one.role == "baseline"), self._baseline)
        best = self._best
        found: list[Step] = []
        for number, one in enumerate(fresh, self._ended + 1):
            value = improved(one, best, baseline, self._record.space.study)
            best = best if value is None else value
            found.append(Step(number, one.ended, one, value is not None, best))
        return tuple(found)

    def advance(self, told: Sequence[Step]) -> None:
        """These steps are told."""
        for step in told:
            self._open.discard(step.trial.number)
            if step.better:
                self._better.add(step.trial.number)
            if step.trial.role == "baseline":
                self._baseline = step.trial.last
            self._ended, self._best = step.number, step.best

    def was(self, one: Outcome) -> bool:
        """Whether a trial was the best when it ended, as far as that was told."""
        return one.number in self._better
