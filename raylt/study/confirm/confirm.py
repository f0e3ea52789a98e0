"""Confirm: are the winners of a search really better than the baseline, or were they lucky?

The best settings and the baseline are trained once more, with seeds that the search has not seen:
the same ones for all, which also give all the same order of the images. Candidates that are behind
the baseline on validation in each of the first seeds leave the race; the test images are opened
once, after the last run, for those that are left.

That a candidate leaves the race by a look at validation cannot make a false "better" likelier: it
counts as one that did not make it (p = 1), so every p-value only grows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raylt import space as spaces
from raylt import uris
from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.space import baseline as baselines
from raylt.space.metric_names import BEST
from raylt.space.plan import LEVEL
from raylt.study.confirm import candidates, runs, scoring
from raylt.study.confirm.candidates import Options
from raylt.study.confirm.race import Race
from raylt.study.confirm.runs import Setting
from raylt.study.record import bucket, lock, provenance, revise, studies
from raylt.study.record.postgres import Hold
from raylt.study.record.record import Record
from raylt.study.record.text import class_names
from raylt.study.resources import allocation
from raylt.study.run import same_data, session
from raylt.study.run.session import Session
from raylt.study.tracking import tracker
from raylt.study.tracking.tracker import Tracker
from raylt.study.verdict import class_changes, confirmation, significance, test_openings
from raylt.study.verdict.class_changes import ClassChanges
from raylt.study.verdict.confirmation import Candidate, Confirmation, SeedResults
from raylt.study.verdict.significance import Verdict

if TYPE_CHECKING:
    from raylt.study.tracking.mirror import MlflowMirror


def confirm(name: str, settings: Settings, options: Options) -> Confirmation:
    """Confirm the best trials of a study; called again it goes on, or shows what is known.

    Raises:
        InputError: there is no such study, no trial besides the baseline has finished, or the plan
            can never reach the level.
        EnvironmentError: another process drives the study, or the machine or tracker is not as it
            must be.
    """
    with contextlib.closing(studies.open_study(name, settings.runs, settings.storage)) as reader:
        url = reader.url
        checkpoints = bucket.chosen(reader, settings.checkpoints)
        settings = settings.model_copy(update={"checkpoints": checkpoints})
    with (
        lock.locked(settings.runs / name, url) as hold,
        contextlib.closing(_with_baseline(name, settings.runs, url)) as study,
    ):
        baseline, chosen = candidates.choose(study, options)
        validated = all(setting.at(0).data.has_validation() for setting in (baseline, *chosen))
        confirmation_runs = runs.open_runs(study, validated=validated)
        with contextlib.closing(confirmation_runs.record):
            race = Race(
                study,
                confirmation_runs,
                _metric(study),
                baseline,
                chosen,
                runs.fresh_seeds((baseline, *chosen), candidates.seeds(study, options)),
                candidates.retrain(study, options),
                validated,
            )
            return _confirmed(race, settings, options, hold)


def _with_baseline(name: str, runs: Path, url: str | None) -> Record:
    """The study; one of version 0.1.0 that has no baseline gets the published setting."""
    study = studies.open_study(name, runs, url)
    if study.baseline() is not None:
        return study
    words = [f"study.baseline={baselines.WORD}"]
    file = study.folder / "space.yaml"
    revise.space(study, spaces.stored(file, words, whole_ends=study.whole_ends))
    study.close()
    return studies.open_study(name, runs, url)


def _metric(study: Record) -> str:
    """The validation metric that a study is confirmed by: its first one that a test set has."""
    named = (objective.metric for objective in study.objectives)
    return next((name for name in named if name.startswith("val/")), "val/accuracy")


def _confirmed(race: Race, settings: Settings, options: Options, hold: Hold) -> Confirmation:
    if options.retry_failed:
        race.runs.retry((race.baseline, *race.candidates), race.seeds)
    if race.next_seeds(early=options.race) or race.untested():
        allocation.require_fit(settings)
        same_data.require_here(race.study, settings.data)
        session.prepare(settings)
        with (
            session.ray_session(settings) as nodes,
            session.tracked(
                settings, _tracker(race, settings), race.study, nodes, hold
            ) as running,
        ):
            result = _run(race, running, options)
        return replace(result, notices=running.notices)
    # Nothing is left to run: what is known is shown, and Ray is not needed for it.
    result = _judge(race, {}, uri=uris.public(session.tracking_uri(settings)))
    confirmation.store(race.study, result)
    return result


def _tracker(race: Race, settings: Settings) -> Tracker:
    uri = session.tracking_uri(settings)

    def connect() -> MlflowMirror:
        searched = tracker.open_mirror(
            race.study,
            uri=uri,
            artifacts=settings.runs / "artifacts",
            command=settings.command,
        )
        # MLflow takes seconds to import; that is for the tracker's thread.
        from raylt.study.confirm.mirror import ConfirmationMirror

        return ConfirmationMirror(searched, race.study, race.runs)

    return Tracker(
        connect,
        record=race.runs.record,
        uri=uri,
        resume_command=provenance.command(race.study, "confirm", race.study.name),
        optional=settings.tracking_optional,
    )


def _run(race: Race, running: Session, options: Options) -> Confirmation:
    """Train and test what is left, and judge; an interrupted confirmation is not stored."""
    uri = running.tracker.uri
    while seeds := race.next_seeds(early=options.race):
        race.runs.queue((race.baseline, *race.left), seeds)
        stopped = running.trials(race.runs.record)
        if running.interrupted:
            return replace(_judge(race, {}, uri=uri), interrupted=True)
        if stopped:
            raise EnvironmentError(
                f"{race.study.name}: the confirmation stopped: {stopped}; fix the cause, then run "
                f""
                f"`{provenance.command(race.study, 'confirm', race.study.name, '--retry-failed')}`"
            )
    unscored: dict[int, str] = {}
    if untested := race.untested():
        test_openings.open_test(race.study, [outcome.digest for outcome in race.trained()])
        unscored = scoring.score(running, race.runs.record, untested, opener=options.opener)
    result = replace(_judge(race, unscored, uri=uri), interrupted=running.interrupted)
    if not result.interrupted:
        confirmation.store(race.study, result)
    return result


def _judge(race: Race, unscored: Mapping[int, str], *, uri: str) -> Confirmation:
    """The verdicts on what was tested; `unscored` says why a run, by number, was not."""
    # Nothing chooses among epochs where no images are held out: the last one counts.
    metric = race.metric if race.validated else race.metric.replace(BEST, "val/", 1)
    metric = metric.replace("val/", "test/", 1)
    baseline = _results(race, race.baseline, unscored)
    results = [_results(race, setting, unscored) for setting in race.candidates]
    differences = [
        [
            race.lead(scores[metric], baseline.test[seed][metric])
            for seed, scores in result.test.items()
            if metric in scores and metric in baseline.test.get(seed, {})
        ]
        for result in results
    ]
    # A setting that trains only with lucky seeds is not better: the others would not count.
    out = [result.trial in race.dropped or bool(result.failures) for result in results]
    verdicts = significance.judge(differences, out_of_race=out, level=LEVEL)
    judged = zip(race.candidates, results, verdicts, strict=True)
    return Confirmation(
        study=race.study.name,
        metric=metric,
        level=LEVEL,
        seeds=race.seeds,
        retrain=race.retrain,
        baseline=baseline,
        candidates=tuple(_candidate(race, *row) for row in judged),
        openings=len(test_openings.openings(race.study)),
        test_openings=test_openings.sentence(race.study),
        tracking_uri=uri,
        notices=(),
        interrupted=False,
    )


def _candidate(race: Race, setting: Setting, results: SeedResults, verdict: Verdict) -> Candidate:
    leads = race.leads(setting, race.seeds)
    return Candidate(
        runs=results,
        verdict=verdict,
        dropped=race.dropped.get(setting.number),
        promised=_searched_lead(race, setting),
        kept=sum(leads) / len(leads) if leads else None,
        paid=_class_changes(race, setting),
    )


def _results(race: Race, setting: Setting, unscored: Mapping[int, str]) -> SeedResults:
    test: dict[str, Mapping[str, float]] = {}
    validation: dict[str, Mapping[str, float]] = {}
    failures: dict[str, str] = {}
    for number in race.seeds:
        seed, outcome = str(number), race.runs.run(setting, number)
        if outcome is None:
            continue
        if outcome.state == "failed":
            failures[seed] = outcome.failure
        elif outcome.state == "complete":
            validation[seed] = outcome.last
        if outcome.number in unscored:
            failures[seed] = f"not tested: {unscored[outcome.number]}"
        if setting.number not in race.dropped and (tested := race.tested(outcome)):
            test[seed] = tested["metrics"]
    return SeedResults(
        trial=setting.number,
        role=setting.role,
        point=setting.point,
        test=test,
        validation=validation,
        failures=failures,
    )


def _searched_lead(race: Race, setting: Setting) -> float | None:
    """The lead over the baseline that the search saw, on validation."""
    baseline = race.study.outcome(race.baseline.number)
    if baseline.state != "complete" or race.metric not in baseline.last:
        return None
    outcome = race.study.outcome(setting.number)
    return race.lead(outcome.last[race.metric], baseline.last[race.metric])


def _class_changes(race: Race, setting: Setting) -> ClassChanges | None:
    """What a candidate changed for each class, over the seeds that it shares with the baseline."""
    if setting.number in race.dropped:
        return None
    pairs = [
        (before, after)
        for outcome, reference in race.pairs(setting, race.seeds)
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
