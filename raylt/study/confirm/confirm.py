"""Confirm: are the winners of a search really better than the baseline, or were they lucky?

The best settings and the baseline are trained once more, with seeds that the search has not seen:
the same ones for all, which also give all the same order of the images. Candidates clearly behind
the baseline on validation after a few seeds leave the race; the test images are opened once,
after the last run, for those that are left.

That a candidate leaves the race by a look at validation cannot make a false "better" likelier: it
counts as one that did not make it (p = 1), so every p-value only grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from raylt import space as spaces
from raylt.settings import Settings
from raylt.space import baseline as baselines
from raylt.space.metric_names import BEST
from raylt.study.confirm import candidates, question, runs
from raylt.study.confirm.candidates import Options
from raylt.study.confirm.question import Question
from raylt.study.confirm.race import Comparison, Race
from raylt.study.confirm.runs import Setting
from raylt.study.record import revise, studies
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.record.text import class_names, images_by_class, small_sample
from raylt.study.report import status
from raylt.study.verdict import class_changes, floor
from raylt.study.verdict.answer import SeedResults
from raylt.study.verdict.class_changes import ClassChanges
from raylt.study.verdict.confirmation import Candidate, Confirmation
from raylt.study.verdict.significance import Verdict


def confirm(name: str, settings: Settings, options: Options) -> Confirmation:
    """Confirm the best trials of a study; called again it goes on, or shows what is known.

    Raises:
        InputError: there is no such study, no trial besides the baseline has finished, or the plan
            can never reach the level.
        EnvironmentError: another process drives the study, or the machine or tracker is not as it
            must be.
    """
    with question.locked(name, settings, _with_baseline, verb="confirm") as (
        study,
        settings,
        hold,
    ):
        baseline, chosen = candidates.choose(study, options)
        validated = all(setting.at(0).data.has_validation() for setting in (baseline, *chosen))
        with question.seed_runs(study, validated=validated) as seed_runs:
            race = Race(
                study,
                seed_runs,
                metric(study),
                tuple(Comparison(setting=setting, reference=baseline) for setting in chosen),
                runs.fresh_seeds((baseline, *chosen), candidates.seeds(study, options)),
                validated,
                on_test=True,
            )
            if options.retry_failed:
                seed_runs.retry(race.runs_of(race.settings, race.seeds))
            asked = _IsItBetter(race, options)
            if asked.next_runs():
                early = options.race and validated
                question.announce(race, settings, *(["fewer with the race"] if early else []))
            return question.answered(asked, settings, hold, opener=options.opener)


def metric(study: Record) -> str:
    """The validation metric that a study is confirmed by: its first one that a test set has."""
    named = (objective.metric for objective in study.objectives)
    return next((name for name in named if name.startswith("val/")), "val/accuracy")


def test_metric(race: Race) -> str:
    """The same on the test images."""
    # Nothing chooses among epochs where no images are held out: the last one counts.
    name = race.metric if race.validated else race.metric.replace(BEST, "val/", 1)
    return name.replace("val/", "test/", 1)


def _with_baseline(name: str, runs: Path, url: str | None) -> Record:
    """The study; one of version 0.1.0 that has no baseline gets the published setting."""
    study = studies.open_study(name, runs, url)
    status.require_searched(study)
    if study.baseline() is not None:
        return study
    words = [f"study.baseline={baselines.WORD}"]
    file = study.folder / "space.yaml"
    revise.space(study, spaces.stored(file, words, whole_ends=study.whole_ends))
    study.close()
    return studies.open_study(name, runs, url)


class _IsItBetter(Question[Confirmation]):
    """Whether candidates are better than the baseline, on the test images."""

    def __init__(self, race: Race, options: Options) -> None:
        super().__init__(race, ["confirm", *options.words])
        self._options = options

    def next_runs(self) -> list[tuple[Setting, int]]:
        """The first seeds that are not trained yet."""
        return self.race.next_runs(early=self._options.race)

    def to_test(self) -> list[Outcome]:
        """Whoever is left in the race, and the baseline."""
        return self.race.trained()

    def judge(self, unscored: Mapping[int, str], *, uri: str) -> Confirmation:
        """The verdict on each candidate."""
        race, name = self.race, test_metric(self.race)
        baseline = race.results(race.comparisons[0].reference, unscored)
        results = [race.results(c.setting, unscored) for c in race.comparisons]
        differences = [
            [] if c.key in race.dropped else [*race.differences(c, name, race.seeds).values()]
            for c in race.comparisons
        ]
        verdicts = race.verdicts(differences, results)
        judged = zip(race.comparisons, results, verdicts, strict=True)
        return Confirmation(
            **self.facts(name, uri),
            retrain=candidates.retrain(race.study, self._options),
            baseline=baseline,
            candidates=tuple(_candidate(race, *row) for row in judged),
            notices=_cautions(race.study),
        )


def _cautions(study: Record) -> tuple[str, ...]:
    """What to bear in mind about a verdict: few test images, pictures that are in several parts,
    raw pixels that are as good."""
    data = study.facts.get("data", {})
    metric = study.objectives[0].metric
    pixels = floor.unbeaten(study.facts["floor"], metric, study.best(), searched=True)
    few = small_sample(images_by_class(study.facts, "test"), part="test")
    return tuple(f"{caution}." for caution in (few, data.get("copies"), pixels) if caution)


def _candidate(
    race: Race, comparison: Comparison, results: SeedResults, verdict: Verdict
) -> Candidate:
    leads = race.leads(comparison, race.seeds)
    return Candidate(
        runs=results,
        verdict=verdict,
        dropped=race.dropped.get(comparison.key),
        promised=_searched_lead(race, comparison),
        kept=sum(leads) / len(leads) if leads else None,
        paid=_class_changes(race, comparison),
    )


def _searched_lead(race: Race, comparison: Comparison) -> float | None:
    """The lead over the baseline that the search saw, on validation."""
    baseline = race.study.outcome(comparison.reference.number)
    if baseline.state != "complete" or race.metric not in baseline.last:
        return None
    outcome = race.study.outcome(comparison.setting.number)
    return race.lead(outcome.last[race.metric], baseline.last[race.metric])


def _class_changes(race: Race, comparison: Comparison) -> ClassChanges | None:
    """What a candidate changed for each class, over the seeds that it shares with the baseline."""
    if comparison.key in race.dropped:
        return None
    pairs = [
        (before, after)
        for outcome, reference in race.pairs(comparison, race.seeds).values()
        if (before := race.tested(reference)) and (after := race.tested(outcome))
    ]
    if not pairs:
        return None
    key = "best_predictions" if race.metric.startswith(BEST) else "predictions"
    counts = pairs[0][0]["train_counts"]
    return class_changes.compare(
        np.array([before.get(key) or before["predictions"] for before, _ in pairs]),
        np.array([after.get(key) or after["predictions"] for _, after in pairs]),
        np.array(pairs[0][0]["labels"]),
        counts,
        class_names(race.study.facts, len(counts)),
    )
