"""The race of a confirmation: who is still in it, and which runs are left.

It reads the record alone, so a killed confirmation goes on with the same decisions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raylt.space.metric_names import METRICS
from raylt.study.confirm import scoring
from raylt.study.confirm.runs import ConfirmationRuns, Setting
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.verdict import significance

LOOK = 3
"""Seeds between two looks at who is still in the race."""
HOPELESS = 0.2
"""Who is behind on validation with a one-sided sign-flip p-value of at most this leaves the race:
all of the first three seeds behind, for 1/8 is the smallest that three can give."""


@dataclass(slots=True)
class Race:
    """One confirmation on its way."""

    study: Record
    runs: ConfirmationRuns
    metric: str
    """The validation metric that settings are compared by."""
    baseline: Setting
    candidates: tuple[Setting, ...]
    seeds: tuple[int, ...]
    retrain: Literal["split", "pool"]
    validated: bool
    """Whether the runs hold validation images out; without them nobody can be dropped early."""
    dropped: dict[int, int] = field(default_factory=dict[int, int])
    """Trial number of a candidate -> seeds after which it left the race."""

    @property
    def left(self) -> tuple[Setting, ...]:
        """The candidates that are still in the race."""
        return tuple(c for c in self.candidates if c.number not in self.dropped)

    def next_seeds(self, *, early: bool) -> tuple[int, ...]:
        """The first seeds that still have runs to do; drops hopeless candidates on the way.

        Args:
            early: Whether anybody may be dropped.
        """
        self.dropped.clear()
        step = LOOK if early and self.validated else len(self.seeds)
        for start in range(0, len(self.seeds), step):
            seeds, end = self.seeds[start : start + step], start + step
            for seed, setting in itertools.product(seeds, (self.baseline, *self.left)):
                outcome = self.runs.run(setting, seed)
                if outcome is None or outcome.state not in ("complete", "failed"):
                    return seeds
            if end < len(self.seeds):
                for candidate in self.left:
                    if hopeless(self.leads(candidate, self.seeds[:end])):
                        self.dropped[candidate.number] = end
            if not self.left:
                break
        return ()

    def lead(self, candidate: float, baseline: float) -> float:
        """How far a candidate is ahead of the baseline by the metric, whichever way is better."""
        sign = 1 if METRICS[self.metric] == "maximize" else -1
        return sign * (candidate - baseline)

    def pairs(self, candidate: Setting, seeds: Sequence[int]) -> list[tuple[Outcome, Outcome]]:
        """The finished runs of a candidate and of the baseline, at each common seed."""
        baseline = self.runs.finished(self.baseline, seeds)
        runs = self.runs.finished(candidate, seeds)
        return [(outcome, baseline[seed]) for seed, outcome in runs.items() if seed in baseline]

    def leads(self, candidate: Setting, seeds: Sequence[int]) -> list[float]:
        """How far a candidate is ahead of the baseline on validation, at each common seed; empty
        where nothing is held out."""
        if not self.validated:
            return []
        return [
            self.lead(outcome.last[self.metric], baseline.last[self.metric])
            for outcome, baseline in self.pairs(candidate, seeds)
        ]

    def trained(self) -> list[Outcome]:
        """The finished runs of all that are left; none where only the baseline is."""
        settings = (self.baseline, *self.left) if self.left else ()
        return [run for s in settings for run in self.runs.finished(s, self.seeds).values()]

    def untested(self) -> list[Outcome]:
        """The trained runs that are not scored on the test images."""
        return [outcome for outcome in self.trained() if self.tested(outcome) is None]

    def tested(self, outcome: Outcome) -> dict[str, Any] | None:
        """The scores of a run on the test images; None where it is not scored."""
        folder = self.runs.record.trial_folder(outcome.number)
        return scoring.read(folder, digest=outcome.digest)


def hopeless(differences: Sequence[float]) -> bool:
    """Whether a candidate with these differences to the baseline leaves the race."""
    return significance.sign_flip([-difference for difference in differences]) <= HOPELESS
