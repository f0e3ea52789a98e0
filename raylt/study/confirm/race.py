"""The race of a confirmation: who is still in it, and which runs are left.

It looks at the record alone, so a killed confirmation goes on alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from raylt.space.metric_names import METRICS
from raylt.study.confirm import scoring
from raylt.study.confirm.runs import Seeds, Setting
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
    runs: Seeds
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
        return tuple(each for each in self.candidates if each.number not in self.dropped)

    def block(self, *, early: bool) -> tuple[int, ...]:
        """The first seeds that still have runs to do, none if all is done; drops on the way who is
        hopeless.

        Args:
            early: Whether anybody may be dropped.
        """
        self.dropped.clear()
        step = LOOK if early and self.validated else len(self.seeds)
        for end in range(step, len(self.seeds) + step, step):
            seeds = self.seeds[end - step : end]
            for seed, setting in itertools.product(seeds, (self.baseline, *self.left)):
                one = self.runs.run(setting, seed)
                if one is None or one.state not in ("complete", "failed"):
                    return seeds
            if end >= len(self.seeds):
                return ()
            for each in self.left:
                if hopeless(self.ahead(each, self.seeds[:end])):
                    self.dropped[each.number] = end
            if not self.left:
                return ()
        return ()

    def ahead(self, candidate: Setting, of: Sequence[int]) -> list[float]:
        """How far a candidate is ahead of the baseline on validation, at each common seed; empty
        where nothing is held out."""
        if not self.validated:
            return []
        sign = 1 if METRICS[self.metric] == "maximize" else -1
        theirs = self.runs.finished(self.baseline, of)
        return [
            sign * (one.last[self.metric] - theirs[seed].last[self.metric])
            for seed, one in self.runs.finished(candidate, of).items()
            if seed in theirs
        ]

    def trained(self) -> list[Outcome]:
        """The finished runs of all that are left; none where only the baseline is."""
        settings = (self.baseline, *self.left) if self.left else ()
        return [one for each in settings for one in self.runs.finished(each, self.seeds).values()]

    def untested(self) -> list[Outcome]:
        """The trained runs that are not scored on the test images."""
        return [one for one in self.trained() if self.tested(one) is None]

    def tested(self, one: Outcome) -> dict[str, Any] | None:
        """What a run did on the test images; None where it is not scored."""
        return scoring.read(self.runs.record.trial_folder(one.number), digest=one.digest)


def hopeless(differences: Sequence[float]) -> bool:
    """Whether a candidate with these differences to the baseline leaves the race."""
    return significance.sign_flip([-each for each in differences]) <= HOPELESS
