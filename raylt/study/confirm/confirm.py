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
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.space.metric_names import BEST, METRICS
from raylt.space.plan import LEVEL
from raylt.study.confirm import candidates as contenders
from raylt.study.confirm import runs as seeds
from raylt.study.confirm import scoring
from raylt.study.confirm.candidates import Options
from raylt.study.confirm.race import Race
from raylt.study.confirm.runs import Seeds, Setting
from raylt.study.record import bucket, lock, studies
from raylt.study.record.postgres import Hold
from raylt.study.record.record import Record
from raylt.study.resources import allocation
from raylt.study.run import session
from raylt.study.run.session import Session
from raylt.study.tracking import store
from raylt.study.tracking import tracker as tracking
from raylt.study.tracking.tracker import Tracker
from raylt.study.verdict import confirmation, significance, test_openings
from raylt.study.verdict.class_changes import Paid, paid
from raylt.study.verdict.confirmation import Candidate, Confirmation, Runs

if TYPE_CHECKING:
    from raylt.study.tracking.mirror import Mirror


def confirm(name: str, settings: Settings, options: Options) -> Confirmation:
    """Confirm the best trials of a study; called again it goes on, or shows what is known.

    Raises:
        InputError: there is no such study, it has no baseline or no other finished trial, or the
            plan can never reach the level.
        EnvironmentError: another process drives the study, or the machine or tracker is not as it
            must be.
    """
    with contextlib.closing(studies.open_study(name, settings.runs, settings.storage)) as seen:
        url = seen.url
        checkpoints = bucket.chosen(seen, settings.checkpoints)
        settings = settings.model_copy(update={"checkpoints": checkpoints})
    with (
        lock.locked(settings.runs / name, url) as hold,
        contextlib.closing(studies.open_study(name, settings.runs, url)) as study,
    ):
        baseline, candidates = contenders.of(study, options)
        count = options.seeds or study.space.study.confirm.seeds
        validated = all(each.at(0).data.has_validation() for each in (baseline, *candidates))
        runs = seeds.opened(study, validated=validated)
        with contextlib.closing(runs.record):
            race = Race(
                study,
                runs,
                metric_of(study),
                baseline,
                candidates,
                seeds.fresh((baseline, *candidates), count),
                contenders.retrain(study, options),
                validated,
            )
            return _confirmed(race, settings, options, hold)


def _confirmed(race: Race, settings: Settings, options: Options, hold: Hold) -> Confirmation:
    if options.retry_failed:
        race.runs.retry((race.baseline, *race.candidates), race.seeds)
    if race.block(early=options.race) or race.untested():
        allocation.require_fit(settings)
        session.prepare(settings)
        tracker = _tracker(race.study, race.runs, settings)
        with (
            session.ray_session(settings) as nodes,
            session.tracked(settings, tracker, race.study, nodes, hold) as now,
        ):
            found = _run(race, now, options)
        return replace(found, notices=now.notices)
    # Nothing is left to run: what is known is shown, and Ray is not needed for it.
    found = _judge(race, {}, uri=store.public(session.tracking_uri(settings)))
    confirmation.keep(race.study, found)
    return found


def metric_of(study: Record) -> str:
    """The validation metric that a study is confirmed by: its first one that a test set has."""
    named = (objective.metric for objective in study.objectives)
    return next((name for name in named if name.startswith("val/")), "val/accuracy")


def tested_metric(metric: str, *, validated: bool) -> str:
    """The test metric that a validation metric stands for; of the last epoch where the runs hold
    no images out, for nothing chooses among their epochs."""
    known = metric if validated else metric.replace(BEST, "val/", 1)
    return known.replace("val/", "test/", 1)


def _tracker(study: Record, runs: Seeds, settings: Settings) -> Tracker:
    uri = session.tracking_uri(settings)

    def connect() -> Mirror:
        above = tracking.open_mirror(
            study,
            uri=uri,
            artifacts=settings.runs / "artifacts",
            command=store.public(settings.command),
        )
        # MLflow takes seconds to import; that is for the tracker's thread.
        from raylt.study.confirm.mirror import SeedMirror

        return SeedMirror(above, study, runs)

    return Tracker(
        connect,
        record=runs.record,
        uri=uri,
        again=f"raylt confirm {study.name}",
        optional=settings.tracking_optional,
    )


def _run(race: Race, now: Session, options: Options) -> Confirmation:
    """Train and test what is left, and judge; what the user interrupts is not kept."""
    uri = now.tracker.uri
    while seeds := race.block(early=options.race):
        race.runs.queue((race.baseline, *race.left), seeds)
        stopped = now.trials(race.runs.record)
        if now.interrupted:
            return replace(_judge(race, {}, uri=uri), interrupted=True)
        if stopped:
            raise EnvironmentError(
                f"{race.study.name}: the runs of a confirmation must train, but {stopped}; repair "
                f"it, and try them again with `raylt confirm {race.study.name} --retry-failed`"
            )
    failures: dict[int, str] = {}
    if untested := race.untested():
        test_openings.open_test(race.study, [one.digest for one in race.trained()])
        failures = scoring.score(now, race.runs.record, untested, opener=options.opener)
    found = replace(_judge(race, failures, uri=uri), interrupted=now.interrupted)
    if not found.interrupted:
        confirmation.keep(race.study, found)
    return found


def _judge(race: Race, unscored: Mapping[int, str], *, uri: str) -> Confirmation:
    baseline = _runs(race, race.baseline, unscored)
    everyone = [_runs(race, each, unscored) for each in race.candidates]
    metric = tested_metric(race.metric, validated=race.validated)
    sign = 1 if METRICS[race.metric] == "maximize" else -1
    differences = [
        [
            sign * (scores[metric] - baseline.test[seed][metric])
            for seed, scores in each.test.items()
            if metric in scores and metric in baseline.test.get(seed, {})
        ]
        for each in everyone
    ]
    # A setting that trains only with lucky seeds is not better: the others would not count.
    out = [each.trial in race.dropped or bool(each.failures) for each in everyone]
    verdicts = significance.judge(differences, out_of_race=out, level=LEVEL)
    return Confirmation(
        study=race.study.name,
        metric=metric,
        level=LEVEL,
        seeds=race.seeds,
        retrain=race.retrain,
        baseline=baseline,
        candidates=tuple(
            Candidate(
                runs=each,
                verdict=seen,
                dropped=race.dropped.get(each.trial),
                promised=_promised(race, setting),
                kept=_mean(race.ahead(setting, race.seeds)),
                paid=_paid(race, setting),
            )
            for setting, each, seen in zip(race.candidates, everyone, verdicts, strict=True)
        ),
        openings=len(test_openings.openings(race.study)),
        test_openings=test_openings.sentence(race.study),
        tracking_uri=uri,
        notices=(),
        interrupted=False,
    )


def _runs(race: Race, setting: Setting, unscored: Mapping[int, str]) -> Runs:
    test: dict[str, Mapping[str, float]] = {}
    validation: dict[str, Mapping[str, float]] = {}
    failures: dict[str, str] = {}
    for seed in race.seeds:
        one = race.runs.run(setting, seed)
        if one is None:
            continue
        if one.state == "failed":
            failures[str(seed)] = one.failure
        elif one.state == "complete":
            validation[str(seed)] = one.last
        if one.number in unscored:
            failures[str(seed)] = f"not tested: {unscored[one.number]}"
        if setting.number not in race.dropped and (found := race.tested(one)):
            test[str(seed)] = found["metrics"]
    return Runs(
        trial=setting.number,
        role=setting.role,
        point=setting.point,
        test=test,
        validation=validation,
        failures=failures,
    )


def _promised(race: Race, setting: Setting) -> float | None:
    """The lead over the baseline that the search saw, on validation."""
    sign = 1 if METRICS[race.metric] == "maximize" else -1
    reference = race.study.outcome(race.baseline.number)
    if reference.state != "complete" or race.metric not in reference.last:
        return None
    lead = race.study.outcome(setting.number).last[race.metric] - reference.last[race.metric]
    return sign * lead


def _paid(race: Race, setting: Setting) -> Paid | None:
    """Who paid for a candidate's gains, over the seeds that it shares with the baseline."""
    if setting.number in race.dropped:
        return None
    mine = race.runs.finished(setting, race.seeds)
    theirs = race.runs.finished(race.baseline, race.seeds)
    pairs = [(race.tested(theirs[s]), race.tested(mine[s])) for s in mine if s in theirs]
    whole = [(base, own) for base, own in pairs if base is not None and own is not None]
    if not whole:
        return None
    of = "best_predictions" if race.metric.startswith(BEST) else "predictions"
    return paid(
        np.array([base.get(of) or base["predictions"] for base, _ in whole]),
        np.array([own.get(of) or own["predictions"] for _, own in whole]),
        np.array(whole[0][0]["labels"]),
        whole[0][0]["train_counts"],
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
