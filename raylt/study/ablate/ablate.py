"""Ablate: which of the changes from the baseline to the winner matter?

Each change is set back alone in the winner and taken over alone in the baseline, and the winner
goes without each part that its method can do without: every pair of settings with the same fresh
seeds, which are those of `raylt confirm`. Beside it the greedy path from one to the other.

A change that is clearly behind after a few seeds leaves the race; it counts as one that is not
shown (p = 1), so every p-value only grows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space.plan import LEVEL, Budget
from raylt.study.ablate import path
from raylt.study.ablate.path import Choice
from raylt.study.ablate.variants import Variants
from raylt.study.confirm import confirm, question, runs
from raylt.study.confirm.question import Question
from raylt.study.confirm.race import Comparison, Race
from raylt.study.confirm.runs import Setting
from raylt.study.record import studies
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.verdict import ablation, significance
from raylt.study.verdict.ablation import Ablation, Effect, Step, Subject, Way
from raylt.study.verdict.interplay import Differences, Estimate, estimate, interplay


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of an ablation."""

    trial: int | None = None
    """The trial to ablate; the best one where None."""
    seeds: int | None = None
    """Seeds of each setting; as many as a verdict needs, and `study.confirm.seeds` at least."""
    race: bool = True
    """Whether changes that are behind are dropped early."""
    test: bool = False
    """Whether the verdicts are on the test images, which are opened for it."""
    path: bool = True
    """Whether the greedy path is trained too."""
    retry_failed: bool = False
    """Whether runs that failed are run again."""
    budget: Budget = field(default_factory=Budget)
    """When to stop, over all runs of the study over fresh seeds, those of `confirm` included."""
    words: tuple[str, ...] = ()
    """The same as words of the command, but for the budget."""
    opener: str = "raylt.trial.evaluation.test_score:open_test"
    """The function that scores a finished run on the test images."""


def ablate(name: str, settings: Settings, options: Options) -> Ablation:
    """Ablate a trial of a study; called again it goes on, or shows what is known.

    Raises:
        InputError: there is no such study, it has nothing to ablate, its images have changed, or
            the seeds can never reach the level.
        EnvironmentError: another process drives the study, or the machine or tracker is not as it
            must be.
    """
    with question.locked(name, settings, studies.open_study, verb="ablate") as (
        study,
        settings,
        hold,
    ):
        variants = Variants(study, options.trial)
        compared = variants.comparisons()
        count = _seeds(study, options, len(compared))
        with question.seed_runs(study, validated=True) as seed_runs:
            seed_runs.limit(options.budget)
            race = Race(
                study,
                seed_runs,
                confirm.metric(study),
                tuple(comparison for _, comparison in compared),
                runs.fresh_seeds((variants.baseline, variants.winner), count),
                validated=True,
                on_test=options.test,
            )
            if options.retry_failed:
                seed_runs.retry(race.runs_of(race.settings, race.seeds))
            asked = _WhichMattered(race, variants, [subject for subject, _ in compared], options)
            if asked.next_runs():
                more = ["fewer with the race"] if options.race else []
                more += ["and the path may need some more"] if options.path else []
                question.announce(race, settings, *more)
            return question.answered(asked, settings, hold, opener=options.opener)


class _WhichMattered(Question[Ablation]):
    """Which changes carry the winner's gain."""

    def __init__(
        self, race: Race, variants: Variants, subjects: list[Subject], options: Options
    ) -> None:
        super().__init__(race, ["ablate", *options.words])
        self._variants = variants
        self._subjects = subjects
        self._options = options

    @property
    def settings(self) -> list[Setting]:
        """Those of the comparisons, and of the path."""
        return [*self.race.settings, *self._variants.between()]

    def next_runs(self) -> list[tuple[Setting, int]]:
        """Those of the comparisons, then those of the path, which shares most of its settings."""
        return self.race.next_runs(early=self._options.race) or self._walk()[1]

    def to_test(self) -> list[Outcome]:
        """Whoever is left in the race and stands on the path, where the test set is asked for."""
        if not self.race.on_test:
            return []
        on_path = [choice.step.setting for choice in self._walk()[0]]
        more = [
            run for s in on_path for run in self.race.runs.finished(s, self.race.seeds).values()
        ]
        return list({run.digest: run for run in (*self.race.trained(), *more)}.values())

    def judge(self, unscored: Mapping[int, str], *, uri: str) -> Ablation:
        """What each change brings, whether it is shown, and what interacts."""
        race, variants = self.race, self._variants
        leads = [self._differences(comparison) for comparison in race.comparisons]
        effects = self._effects(leads, unscored)
        whole, out, alone = (self._by_name(way, leads) for way in ("whole", "out", "in"))
        (together,) = whole.values()
        pairs = {
            name: interplay(lead, [alone[name]]) for name, lead in out.items() if name in alone
        }
        both = {name: estimate for name, estimate in pairs.items() if estimate is not None}
        one_by_one = interplay(together, [*alone.values()]) if alone else None
        set_back = interplay(together, [*out.values()]) if out else None
        missing, path = bool(self.next_runs()), self._path()
        # One that an earlier call has trained may be over other seeds.
        over = max((step.gain.seeds for step in path if step.gain), default=len(race.seeds))
        earlier = [f"the greedy path is over {over} seeds"] if over != len(race.seeds) else []
        return Ablation(
            **self.facts(self._metric, uri),
            notices=(*variants.notices, *self._same(), *earlier),
            trial=variants.winner.number,
            together={c.name: c.reason for c in variants.changes if c.reason},
            changes={change.name: change.words for change in variants.changes},
            baseline=race.results(variants.baseline, unscored),
            winner=race.results(variants.winner, unscored),
            effects=effects,
            interplay=both,
            one_by_one=one_by_one,
            set_back=_negative(set_back),
            path=path,
            sentence=ablation.NOT_YET if missing else ablation.sentence(effects, both, one_by_one),
        )

    def _same(self) -> list[str]:
        """The settings that have another name as a part of another trial."""
        race, notices = self.race, dict[str, None]()
        for setting in self.settings:
            runs = race.runs.finished(setting, race.seeds).values()
            names = {setting.name: None, **race.runs.names(setting.digest(0), runs)}
            if len(names) > 1:
                notices[f"{' = '.join(names)}: one setting, which is trained once"] = None
        return [*notices]

    def _by_name(self, way: Way, leads: Sequence[Differences]) -> dict[str, Differences]:
        """The differences of all subjects of a way."""
        pairs = zip(self._subjects, leads, strict=True)
        return {subject.name: lead for subject, lead in pairs if subject.way == way}

    @property
    def _metric(self) -> str:
        return confirm.test_metric(self.race) if self.race.on_test else self.race.metric

    def _walk(self) -> tuple[list[Choice], list[tuple[Setting, int]]]:
        if not self._options.path:
            return [], []
        names, at = self._variants.names, self._variants.at
        return path.walk(self.race, names, at, early=self._options.race)

    def _effects(
        self, leads: Sequence[Differences], unscored: Mapping[int, str]
    ) -> tuple[Effect, ...]:
        race = self.race
        dropped = [race.dropped.get(comparison.key) for comparison in race.comparisons]
        trained = [
            comparison.reference if subject.way in ("out", "declared") else comparison.setting
            for subject, comparison in zip(self._subjects, race.comparisons, strict=True)
        ]
        results = [race.results(setting, unscored) for setting in trained]
        verdicts = race.verdicts([[*lead.values()] for lead in leads], results)
        return tuple(
            Effect(subject=subject, runs=runs, verdict=verdict, dropped=seeds)
            for subject, runs, verdict, seeds in zip(
                self._subjects, results, verdicts, dropped, strict=True
            )
        )

    def _differences(self, comparison: Comparison) -> dict[int, float]:
        """Seed -> how far the setting with the change is ahead, on the images of the verdicts."""
        return self.race.differences(comparison, self._metric, self.race.seeds)

    def _path(self) -> tuple[Step, ...]:
        """The path as far as it is trained; where none is asked for, the one that is known."""
        baseline, trial = self._variants.baseline, self._variants.winner.number
        if not self._options.path:
            return ablation.stored_path(self.race.study, self._metric, trial)
        steps = [
            Step(name="baseline", score=self._mean(baseline), gain=None, tried={}, dropped={})
        ]
        for choice in self._walk()[0]:
            leads = [*self._differences(choice.step).values()]
            steps.append(
                Step(
                    name=" + ".join(choice.taken),
                    score=self._mean(choice.step.setting),
                    gain=estimate(leads),
                    tried=choice.gains,
                    dropped=choice.dropped,
                )
            )
        return tuple(steps)

    def _mean(self, setting: Setting) -> float | None:
        """The mean score of a setting over the seeds; None without any."""
        runs = self.race.runs.finished(setting, self.race.seeds).values()
        scores = [self.race.score(run, self._metric) for run in runs]
        known = [score for score in scores if score is not None]
        return sum(known) / len(known) if known else None


def _seeds(study: Record, options: Options, comparisons: int) -> int:
    """How many seeds each setting is trained with.

    Raises:
        InputError: no difference over so many seeds could ever be shown.
    """
    # As in `plan.Confirm`: no p-value is below 1/2^n, and Holm asks the best for LEVEL / count.
    needed = math.ceil(math.log2(comparisons / LEVEL))
    wanted = options.seeds or max(needed, study.space.study.confirm.seeds)
    if not needed <= wanted <= significance.MOST_SEEDS:
        raise InputError(
            f"{study.name}: --seeds must be {needed} to {significance.MOST_SEEDS} for "
            f"{comparisons} comparisons at the level {LEVEL}, but got {wanted}: the smallest "
            f"p-value of n paired seeds is 1/2^n, and {LEVEL}/{comparisons} is asked for; leave "
            f"--seeds out"
        )
    return wanted


def _negative(value: Estimate | None) -> Estimate | None:
    if value is None or value.low is None or value.high is None:
        return value
    return Estimate(mean=-value.mean, low=-value.high, high=-value.low, seeds=value.seeds)
