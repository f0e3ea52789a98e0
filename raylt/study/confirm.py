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
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from raylt.schema import EnvironmentError
from raylt.space.measures import BEST
from raylt.space.plan import LEVEL, METRICS
from raylt.study import (
    confirmed,
    contenders,
    driver,
    ledger,
    lock,
    remote,
    scoring,
    seeds,
    tracking,
    underway,
    verdict,
)
from raylt.study.confirmed import Candidate, Confirmation, Runs
from raylt.study.contenders import Options
from raylt.study.outcome import Outcome
from raylt.study.paid import Paid, paid
from raylt.study.record import Record
from raylt.study.seeds import Seeds, Setting
from raylt.study.server import Hold
from raylt.study.tracking import Tracker
from raylt.study.underway import Settings, Underway

if TYPE_CHECKING:
    from raylt.study.mirror import Mirror

LOOK = 3
"""Seeds between two looks at who is still in the race."""
HOPELESS = 0.2
"""Who is behind on validation with a one-sided sign-flip p-value of at most this leaves the race:
all of the first three seeds behind, for 1/8 is the smallest that three can give."""


@dataclass(slots=True)
class _Race:
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
    dropped: dict[int, int] = field(default_factory=dict)
    """Trial number of a candidate -> seeds after which it left the race."""

    @property
    def left(self) -> tuple[Setting, ...]:
        """The candidates that are still in the race."""
        return tuple(each for each in self.candidates if each.number not in self.dropped)


def confirm(name: str, settings: Settings, options: Options) -> Confirmation:
    """Confirm the best trials of a study; called again it goes on, or shows what is known.

    Raises:
        InputError: there is no such study, it has no baseline or no other finished trial, or the
            plan can never reach the level.
        EnvironmentError: another process drives the study, or the machine or tracker is not as it
            must be.
    """
    with contextlib.closing(driver.open_study(name, settings.runs, settings.storage)) as seen:
        url = seen.url
        settings = replace(settings, checkpoints=remote.chosen(seen, settings.checkpoints))
    with (
        lock.locked(settings.runs / name, url) as hold,
        contextlib.closing(driver.open_study(name, settings.runs, url)) as study,
    ):
        baseline, candidates = contenders.of(study, options)
        count = options.seeds or study.space.study.confirm.seeds
        validated = all(each.at(0).data.has_validation() for each in (baseline, *candidates))
        runs = seeds.opened(study, validated=validated)
        with contextlib.closing(runs.record):
            race = _Race(
                study, runs, metric_of(study), baseline, candidates,
                seeds.fresh((baseline, *candidates), count), contenders.retrain(study, options),
                validated,
            )  # fmt: skip
            return _confirmed(race, settings, options, hold)


def _confirmed(
    race: _Race, settings: Settings, options: Options, hold: Hold
) -> Confirmation:  # fmt: skip
    if options.retry_failed:
        race.runs.retry((race.baseline, *race.candidates), race.seeds)
    if _block(race, options) or _untested(race):
        underway.prepare(settings)
        tracker = _tracker(race.study, race.runs, settings)
        with (
            underway.room(settings, race.study.space) as nodes,
            underway.tracked(settings, tracker, race.study, nodes, hold) as now,
        ):
            found = _run(race, now, options)
        return replace(found, notices=now.notices)
    # Nothing is left to run: what is known is shown, and Ray is not needed for it.
    found = _judge(race, {}, uri=tracking.public(underway.tracking_uri(settings)))
    confirmed.keep(race.study, found)
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


def hopeless(differences: Sequence[float]) -> bool:
    """Whether a candidate with these differences to the baseline leaves the race."""
    return verdict.sign_flip([-each for each in differences]) <= HOPELESS


def _tracker(study: Record, runs: Seeds, settings: Settings) -> Tracker:
    uri = underway.tracking_uri(settings)

    def connect() -> Mirror:
        above = tracking.open_mirror(
            study, uri=uri, artifacts=settings.runs / "artifacts",
            command=tracking.public(settings.command),
        )  # fmt: skip
        # MLflow takes seconds to import; that is for the tracker's thread.
        from raylt.study.grandchildren import SeedMirror

        return SeedMirror(above, study, runs)

    return Tracker(
        connect, record=runs.record, uri=uri, again=f"raylt confirm {study.name}",
        optional=settings.tracking_optional,
    )  # fmt: skip


def _run(race: _Race, now: Underway, options: Options) -> Confirmation:
    """Train and test what is left, and judge; what the user interrupts is not kept."""
    uri = now.tracker.uri
    while seeds := _block(race, options):
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
    if untested := _untested(race):
        ledger.open_test(race.study, [one.digest for one in _trained(race)])
        failures = scoring.score(now, race.runs.record, untested, opener=options.opener)
    found = replace(_judge(race, failures, uri=uri), interrupted=now.interrupted)
    if not found.interrupted:
        confirmed.keep(race.study, found)
    return found


def _block(race: _Race, options: Options) -> tuple[int, ...]:
    """The first seeds that still have runs to do, none if all is done; drops on the way who is
    hopeless. It looks at the record alone, so a killed confirmation goes on alike."""
    race.dropped.clear()
    step = LOOK if options.race and race.validated else len(race.seeds)
    for end in range(step, len(race.seeds) + step, step):
        seeds = race.seeds[end - step : end]
        for seed, setting in itertools.product(seeds, (race.baseline, *race.left)):
            one = race.runs.run(setting, seed)
            if one is None or one.state not in ("complete", "failed"):
                return seeds
        if end >= len(race.seeds):
            return ()
        for each in race.left:
            if hopeless(_ahead(race, each, race.seeds[:end])):
                race.dropped[each.number] = end
        if not race.left:
            return ()
    return ()


def _ahead(race: _Race, candidate: Setting, of: Sequence[int]) -> list[float]:
    """How far a candidate is ahead of the baseline on validation, at each common seed; empty
    where nothing is held out."""
    if not race.validated:
        return []
    sign = 1 if METRICS[race.metric] == "maximize" else -1
    theirs = race.runs.finished(race.baseline, of)
    return [
        sign * (one.last[race.metric] - theirs[seed].last[race.metric])
        for seed, one in race.runs.finished(candidate, of).items()
        if seed in theirs
    ]


def _trained(race: _Race) -> list[Outcome]:
    """The finished runs of all that are left in the race; none where only the baseline is."""
    settings = (race.baseline, *race.left) if race.left else ()
    return [one for each in settings for one in race.runs.finished(each, race.seeds).values()]


def _untested(race: _Race) -> list[Outcome]:
    """The trained runs that are not scored on the test images."""
    return [one for one in _trained(race) if _tested(race, one) is None]


def _judge(race: _Race, unscored: Mapping[int, str], *, uri: str) -> Confirmation:
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
    verdicts = verdict.judge(differences, out_of_race=out, level=LEVEL)
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
                kept=_mean(_ahead(race, setting, race.seeds)),
                paid=_paid(race, setting),
            )
            for setting, each, seen in zip(race.candidates, everyone, verdicts, strict=True)
        ),
        openings=len(ledger.openings(race.study)),
        ledger=ledger.sentence(race.study),
        tracking_uri=uri,
        notices=(),
        interrupted=False,
    )


def _runs(race: _Race, setting: Setting, unscored: Mapping[int, str]) -> Runs:
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
        if setting.number not in race.dropped and (found := _tested(race, one)):
            test[str(seed)] = found["metrics"]
    return Runs(
        trial=setting.number, role=setting.role, point=setting.point, test=test,
        validation=validation, failures=failures,
    )  # fmt: skip


def _tested(race: _Race, one: Outcome) -> dict[str, Any] | None:
    return scoring.read(race.runs.record.trial_folder(one.number), digest=one.digest)


def _promised(race: _Race, setting: Setting) -> float | None:
    """The lead over the baseline that the search saw, on validation."""
    sign = 1 if METRICS[race.metric] == "maximize" else -1
    reference = race.study.outcome(race.baseline.number)
    if reference.state != "complete" or race.metric not in reference.last:
        return None
    lead = race.study.outcome(setting.number).last[race.metric] - reference.last[race.metric]
    return sign * lead


def _paid(race: _Race, setting: Setting) -> Paid | None:
    """Who paid for a candidate's gains, over the seeds that it shares with the baseline."""
    if setting.number in race.dropped:
        return None
    mine = race.runs.finished(setting, race.seeds)
    theirs = race.runs.finished(race.baseline, race.seeds)
    pairs = [(_tested(race, theirs[s]), _tested(race, mine[s])) for s in mine if s in theirs]
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
