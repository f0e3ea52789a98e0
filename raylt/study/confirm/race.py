"""The race of settings over fresh seeds: who is still in it, and which runs are left.

It reads the record alone, so a killed command goes on with the same decisions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raylt.space.metric_names import METRICS
from raylt.space.plan import LEVEL
from raylt.study.confirm import scoring
from raylt.study.confirm.runs import SeedRuns, Setting
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.verdict import significance
from raylt.study.verdict.answer import SeedResults
from raylt.study.verdict.significance import Verdict

LOOK = 3
"""Seeds between two looks at who is still in the race."""
HOPELESS = 0.2
"""Who is behind on validation with a one-sided sign-flip p-value of at most this leaves the race:
all of the first three seeds behind, for 1/8 is the smallest that three can give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A setting against another one, seed by seed."""

    setting: Setting
    """Differences are positive in its favour."""
    reference: Setting

    @property
    def key(self) -> tuple[str, str]:
        """The names of both."""
        return self.setting.name, self.reference.name


@dataclass(slots=True)
class Race:
    """Comparisons on their way."""

    study: Record
    runs: SeedRuns
    metric: str
    """The validation metric that settings are compared by."""
    comparisons: tuple[Comparison, ...]
    seeds: tuple[int, ...]
    validated: bool
    """Whether the runs hold validation images out; without them nobody can be dropped early."""
    on_test: bool = False
    """Whether the verdicts are on the test images."""
    dropped: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """Comparison -> seeds after which its setting left the race."""
    left_after: list[tuple[Setting, int]] = field(default_factory=list[tuple[Setting, int]])
    """Settings that nothing in the race needs any more, and after how many seeds."""

    @property
    def left(self) -> tuple[Comparison, ...]:
        """The comparisons that are still in the race."""
        return tuple(c for c in self.comparisons if c.key not in self.dropped)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every setting once, references first; none twice under one name."""
        return _settings(self.comparisons)

    def next_runs(self, *, early: bool) -> list[tuple[Setting, int]]:
        """The runs of the first seeds that still have some to do; drops hopeless settings on the
        way.
        """
        self.dropped.clear()
        self.left_after.clear()
        step = LOOK if early and self.validated else len(self.seeds)
        for start in range(0, len(self.seeds), step):
            seeds, end = self.seeds[start : start + step], start + step
            runs = list(self.runs_of(_settings(self.left), seeds))
            if any(self.runs.is_open(*run) for run in runs):
                return runs
            if end < len(self.seeds):
                racing = _settings(self.left)
                for comparison in self.left:
                    behind = hopeless(self.leads(comparison, self.seeds[:end]))
                    if behind and not self._is_whole(comparison):
                        self.dropped[comparison.key] = end
                gone = [setting for setting in racing if setting not in _settings(self.left)]
                self.left_after += [(setting, end) for setting in gone]
            if not self.left:
                break
        return []

    @staticmethod
    def runs_of(
        settings: Iterable[Setting], seeds: Iterable[int]
    ) -> Iterator[tuple[Setting, int]]:
        """Each setting with each seed, seed by seed."""
        return ((setting, seed) for seed, setting in itertools.product(seeds, settings))

    def lead(self, setting: float, reference: float) -> float:
        """How far a setting is ahead of another one by the metric, whichever way is better."""
        sign = 1 if METRICS[self.metric] == "maximize" else -1
        return sign * (setting - reference)

    def pairs(
        self, comparison: Comparison, seeds: Sequence[int]
    ) -> dict[int, tuple[Outcome, Outcome]]:
        """The finished runs of a setting and of its reference, by each common seed."""
        references = self.runs.finished(comparison.reference, seeds)
        runs = self.runs.finished(comparison.setting, seeds)
        return {seed: (run, references[seed]) for seed, run in runs.items() if seed in references}

    def score(self, run: Outcome, metric: str) -> float | None:
        """What a run reached in a metric, on validation or on the test images, if it is known."""
        if not metric.startswith("test/"):
            return run.last.get(metric)
        tested = self.tested(run)
        return tested["metrics"].get(metric) if tested else None

    def differences(
        self, comparison: Comparison, metric: str, seeds: Sequence[int]
    ) -> dict[int, float]:
        """Seed -> how far a setting is ahead in a metric, where both runs have it."""
        pairs = self.pairs(comparison, seeds)
        scores = {seed: [self.score(run, metric) for run in pair] for seed, pair in pairs.items()}
        return {
            seed: self.lead(first, other)
            for seed, (first, other) in scores.items()
            if first is not None and other is not None
        }

    def leads(self, comparison: Comparison, seeds: Sequence[int]) -> list[float]:
        """The same on validation; empty where nothing is held out."""
        return [*self.differences(comparison, self.metric, seeds).values()]

    def verdicts(
        self, differences: Sequence[Sequence[float]], results: Sequence[SeedResults]
    ) -> tuple[Verdict, ...]:
        """The verdict on each comparison, given what was trained for it."""
        out = [comparison.key in self.dropped for comparison in self.comparisons]
        # A setting that trains only with lucky seeds is not better: the others would not count.
        failed = [i for i, result in enumerate(results) if result.failures]
        return significance.judge(differences, out_of_race=out, failed=failed, level=LEVEL)

    def is_trained(self, setting: Setting) -> bool:
        """Whether a setting has run with every seed, whatever question asked for it."""
        return not any(self.runs.is_open(setting, seed) for seed in self.seeds)

    def _is_whole(self, comparison: Comparison) -> bool:
        """Whether everything that its verdict needs is there, so that nothing is saved without it.

        A full test in place of p = 1 stays valid, whoever had the runs trained.
        """
        settings = (comparison.setting, comparison.reference)
        runs = [run for s in settings for run in self.runs.finished(s, self.seeds).values()]
        tested = not self.on_test or all(self.tested(run) is not None for run in runs)
        return tested and all(map(self.is_trained, settings))

    def total(self) -> int:
        """How many runs there are once all that are left have run with every seed."""
        pairs = self.runs_of(_settings(self.left), self.seeds)
        return self.runs.record.wanted + sum(self.runs.run(*pair) is None for pair in pairs)

    def trained(self) -> list[Outcome]:
        """The finished runs of all that are left."""
        settings = _settings(self.left)
        return [run for s in settings for run in self.runs.finished(s, self.seeds).values()]

    def tested(self, outcome: Outcome) -> dict[str, Any] | None:
        """The scores of a run on the test images; None where it is not scored."""
        folder = self.runs.record.trial_folder(outcome.number)
        return scoring.read(folder, digest=outcome.digest)

    def results(self, setting: Setting, unscored: Mapping[int, str]) -> SeedResults:
        """What a setting reached over the seeds; on the test images nothing where it has left the
        race.

        Args:
            unscored: Why a run, by its number, could not be scored on the test images.
        """
        test: dict[str, Mapping[str, float]] = {}
        validation: dict[str, Mapping[str, float]] = {}
        failures: dict[str, str] = {}
        own = [c.key in self.dropped for c in self.comparisons if c.setting == setting]
        out = bool(own) and all(own)
        for number in self.seeds:
            seed, outcome = str(number), self.runs.run(setting, number)
            if outcome is None:
                continue
            if outcome.state == "failed":
                failures[seed] = outcome.failure
            elif outcome.state == "complete":
                validation[seed] = outcome.last
            if outcome.number in unscored:
                failures[seed] = f"not tested: {unscored[outcome.number]}"
            if not out and (tested := self.tested(outcome)):
                test[seed] = tested["metrics"]
        return SeedResults(
            trial=setting.number,
            role=setting.role,
            point=setting.point,
            test=test,
            validation=validation,
            failures=failures,
        )


def _settings(comparisons: Iterable[Comparison]) -> tuple[Setting, ...]:
    """Every setting of some comparisons once, the references first."""
    named = {c.reference.name: c.reference for c in comparisons}
    return tuple((named | {c.setting.name: c.setting for c in comparisons}).values())


def hopeless(differences: Sequence[float]) -> bool:
    """Whether a candidate with these differences to the baseline leaves the race."""
    return significance.sign_flip([-difference for difference in differences]) <= HOPELESS
