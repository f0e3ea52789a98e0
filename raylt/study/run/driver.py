"""One search from a space to compared trials, through Ray Tune."""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from raylt.cluster.capacity import Node
from raylt.schema import EnvironmentError
from raylt.space import Space
from raylt.study.cost import budget
from raylt.study.record import bucket, lock, provenance, revise, storage, studies
from raylt.study.record.postgres import Hold
from raylt.study.record.record import Record
from raylt.study.resources import allocation
from raylt.study.run import session
from raylt.study.run.meanwhile import meanwhile
from raylt.study.run.result import Result
from raylt.study.run.session import Settings
from raylt.study.search import sampler as draws
from raylt.study.tracking import store
from raylt.study.tracking import tracker as tracking
from raylt.study.tracking.tracker import Tracker


def search(
    space: Space, settings: Settings, *, floor: Callable[[], Mapping[str, float]], fingerprint: str
) -> Result:
    """Begin a study and run it to its end.

    Args:
        space: What to search.
        settings: Where and how.
        floor: Measures what raw pixels reach on the same labels, which is kept with the study and
            shown; called in a thread while Ray starts.
        fingerprint: Of the dataset; only studies with equal ones may be compared.

    Raises:
        InputError: the study exists already, or the space does not suit its sampler.
        EnvironmentError: the machine, the folder or the tracker is not as it must be.
    """
    session.prepare(settings)
    folder = settings.runs / space.study.name
    url = storage.chosen(folder, settings.storage)
    queue = draws.grid(space) if space.study.sampler.name == "grid" else ()
    sampler = draws.sampler(space, begun=0)
    studies.require_new(folder, url, space)
    new = not folder.exists()
    study: Record | None = None
    with lock.locked(folder, url) as hold:
        try:
            measured = meanwhile(floor)
            with session.room(settings) as nodes:
                facts = {
                    "floor": dict(measured()),
                    "fingerprint": fingerprint,
                    "command": store.public(settings.command),
                    "versions": provenance.tags(),
                }
                study = studies.create(
                    folder, space, sampler=sampler, queue=queue, facts=facts, url=url
                )
                return _run(study, settings, nodes, hold)
        except BaseException as error:
            # Where nothing was started nothing stays.
            if study is None and new:
                shutil.rmtree(folder, ignore_errors=True)
            if study is not None and not study.begun and isinstance(error, EnvironmentError):
                study.remove(folder=new)
            raise
        finally:
            if study is not None:
                study.close()


def resume(
    name: str,
    settings: Settings,
    *,
    retry_failed: bool,
    trials: str | None = None,
    space: Space | None = None,
) -> Result:
    """Go on with a study: trials in flight from their checkpoints, then the ones still wanted.

    Args:
        name: The study.
        settings: Where and how; they may differ from those that the study began with.
        retry_failed: Whether trials that failed are run again, under new numbers.
        trials: How many trials it is to have: `40`, or `+20` for more; None leaves it.
        space: A wider space to go on with; None leaves it.

    Raises:
        InputError: there is no such study, or its trials would not mean the same in the space.
        EnvironmentError: another process drives it, or as for `search`.
    """
    session.prepare(settings)
    folder = settings.runs / name
    seen = studies.open_study(name, settings.runs, settings.storage)
    settings = replace(settings, checkpoints=bucket.chosen(seen, settings.checkpoints))
    allocation.require_even(space or seen.space, settings)
    with lock.locked(folder, seen.url) as hold:
        sampler = draws.sampler(space or seen.space, begun=len(seen.outcomes()))
        if space is not None:
            revise.space(seen, space)
        if trials is not None:
            revise.trials(seen, trials)
        seen.close()
        study = studies.load(folder, sampler=sampler, url=seen.url)
        try:
            if retry_failed:
                study.requeue_failed()
            if _left(study):
                with session.room(settings) as nodes:
                    return _run(study, settings, nodes, hold)
            # Ray would take seconds to start, for nothing.
            began = time.monotonic()
            tracker = _tracker(study, settings)
            tracker.start()
            tracker.demand()
            notices = tracker.close(interrupted=False)
            return _result(study, tracker, began=began, notices=notices)
        finally:
            study.close()


def send(name: str, settings: Settings) -> tuple[str, ...]:
    """Send MLflow what it lacks of a study, without a search; returns what it did not take.

    Raises:
        EnvironmentError: another process drives the study.
    """
    folder = settings.runs / name
    with (
        lock.locked(folder, storage.chosen(folder, settings.storage)),
        contextlib.closing(studies.open_study(name, settings.runs, settings.storage)) as study,
    ):
        tracker = _tracker(study, settings)
        tracker.start()
        return tracker.close(interrupted=False)


def _run(study: Record, settings: Settings, nodes: Sequence[Node], hold: Hold) -> Result:
    began = time.monotonic()
    tracker = _tracker(study, settings)
    with session.tracked(settings, tracker, study, nodes, hold, trials=_left(study)) as now:
        stopped = now.trials(study)
    useless = budget.useless(study.space.study.budget, now.share.shape.gpus)
    return _result(
        study,
        tracker,
        began=began,
        interrupted=now.interrupted,
        stopped=stopped,
        notices=(*useless, *now.notices),
    )


def _left(study: Record) -> int:
    """Trials that are to run: those in flight, and those that a study still wants."""
    states = [one.state for one in study.outcomes() if not one.over]
    over = len(study.outcomes()) - len(states)
    return max(study.wanted - over, states.count("running"))


def _result(
    study: Record,
    tracker: Tracker,
    *,
    began: float,
    notices: tuple[str, ...],
    interrupted: bool = False,
    stopped: str = "",
) -> Result:
    baseline = study.space.study.baseline
    return Result(
        name=study.name,
        folder=study.folder,
        objective=study.objectives[0].metric,
        paths=tuple(leaf.path for leaf in study.space.leaves),
        wanted=study.wanted,
        ranking=study.ranking(),
        best=study.best(),
        baseline=study.baseline(),
        baseline_source=baseline.source if baseline else "",
        versus=study.space.study.versus,
        floor=study.facts["floor"],
        tracking_uri=tracker.uri,
        seconds=time.monotonic() - began,
        interrupted=interrupted,
        stopped=stopped,
        notices=notices,
    )


def _tracker(study: Record, settings: Settings) -> Tracker:
    uri = session.tracking_uri(settings)
    connect = functools.partial(
        tracking.open_mirror,
        study,
        uri=uri,
        artifacts=settings.runs / "artifacts",
        command=store.public(settings.command),
    )
    return Tracker(
        connect,
        record=study,
        uri=uri,
        again=f"raylt resume {study.name}",
        optional=settings.tracking_optional,
    )
