"""One search from its plan to ranked trials, through Ray Tune."""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from rich.text import Text

from raylt import escape, printed, threads
from raylt.cluster.capacity import Node
from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.space import Space
from raylt.study.cost import budget
from raylt.study.record import bucket, lock, provenance, revise, storage, studies
from raylt.study.record.listener import Listener
from raylt.study.record.postgres import Hold
from raylt.study.record.record import Record
from raylt.study.record.text import images_by_class
from raylt.study.run import same_data, session
from raylt.study.run.guard import RayLost
from raylt.study.run.plan import Plan, check_going_on
from raylt.study.run.result import Result
from raylt.study.run.waiting import waiting
from raylt.study.search.sampler import sampler
from raylt.study.tracking.tracker import Tracker, open_mirror
from raylt.study.warm_start import origins, prior
from raylt.study.warm_start.carried import WarmStart


def run(plan: Plan, *, listeners: Sequence[Listener] = ()) -> Result:
    """Begin a study and run it to its end.

    Raises:
        InputError: another process has begun the study meanwhile.
        EnvironmentError: the folder, the tracker, the bucket or Ray is not as it must be.
    """
    settings, folder, url = plan.settings, plan.folder, plan.url
    warm = plan.warm or WarmStart()
    session.prepare(settings)
    _announce(
        folder.name,
        plan.space,
        settings,
        trials=plan.space.study.trials,
        copies=plan.facts["data"].get("copies", ""),
    )
    new = not folder.exists()
    study: Record | None = None
    with lock.locked(folder, url, go_on=_resumed(folder.name, settings)) as hold:
        try:
            # Measured while Ray starts.
            floor = threads.in_background(plan.floor)
            with session.ray_session(settings) as nodes:
                facts = {
                    **plan.facts,
                    "floor": _measured(floor, settings),
                    "command": settings.command,
                    "versions": provenance.tags(),
                    provenance.FACT: printed.kept(settings),
                    **({} if plan.warm is None else {origins.FACT: warm.fact}),
                }
                study = studies.create(
                    folder,
                    plan.space,
                    sampler=sampler(
                        plan.space, begun=0, prior=prior.trials(plan.space, warm.prior)
                    ),
                    queue=plan.queue,
                    facts=facts,
                    warm=[carried.point for carried in warm.points],
                    url=url,
                )
                return _run(study, settings, nodes, hold, listeners)
        except BaseException as error:
            # A search that did not start leaves nothing behind.
            if study is None and new:
                shutil.rmtree(folder, ignore_errors=True)
            refused = isinstance(error, EnvironmentError) and not isinstance(error, RayLost)
            if study is not None and not study.begun and refused:
                study.remove(folder=new)
            raise
        finally:
            if study is not None:
                study.close()


def _announce(
    name: str, space: Space, settings: Settings, *, trials: int, copies: str = ""
) -> None:
    """Say what begins, and which pictures are in several parts, before what takes long."""
    noun = "1 trial" if trials == 1 else f"{trials} trials"
    method, data = space.known["method.name"], space.known["data.name"]
    console = escape.console(stderr=True, quiet=settings.quiet)
    console.print(Text(f"{name}: {noun}, {method} on {data}"), soft_wrap=True)
    if copies:
        console.print(Text(f"warning: {copies}"), soft_wrap=True)


def _measured(floor: Future[Mapping[str, float]], settings: Settings) -> dict[str, float]:
    with waiting("measuring what raw pixels reach", quiet=settings.quiet, brief=True):
        return dict(floor.result())


def resume(
    name: str,
    settings: Settings,
    *,
    retry_failed: bool,
    trials: str | None = None,
    space: Space | None = None,
    listeners: Sequence[Listener] = (),
) -> Result:
    """Continue a study: running trials from their checkpoints, then those that are still wanted.

    Args:
        settings: Where and how; they may differ from those that the study began with.
        retry_failed: Whether trials that failed run again, under new numbers.
        trials: How many trials it is to have: `40`, or `+20` for more; None leaves it.
        space: A wider space to continue with; None leaves it.

    Raises:
        InputError: there is no such study, its budget is spent, its images have changed, or its
            trials would not mean the same in the space.
        EnvironmentError: another process runs it, or as for `run`.
    """
    session.prepare(settings)
    folder = settings.runs / name
    seen = studies.open_study(name, settings.runs, settings.storage)
    settings = provenance.with_data(seen, settings).model_copy(
        update={"checkpoints": bucket.chosen(seen, settings.checkpoints)}
    )
    searched = space or seen.space
    if trials is not None:
        revise.count(seen, trials)
    check_going_on(searched, settings)
    with lock.locked(folder, seen.url, go_on=_resumed(name, settings)) as hold:
        if trials is not None or retry_failed or _left(seen):
            words = [*(["--trials", trials] if trials else []), *["--retry-failed"] * retry_failed]
            budget.require_left(seen, searched.study.budget, *words)
            same_data.require_here(seen, settings.data)
        # Before anything is changed: a sampler that cannot be built refuses the search.
        chosen = sampler(searched, begun=len(seen.outcomes()), prior=prior.of(seen, searched))
        if space is not None:
            revise.space(seen, space, settings.command)
        if trials is not None:
            revise.trials(seen, trials)
        seen.close()
        study = studies.load(folder, sampler=chosen, url=seen.url)
        try:
            provenance.note(study, settings)
            if retry_failed:
                revise.retry_failed(study)
            _announce(name, searched, settings, trials=study.wanted)
            if _left(study):
                with session.ray_session(settings) as nodes:
                    return _run(study, settings, nodes, hold, listeners)
            return _without_ray(study, settings)
        finally:
            study.close()


def _resumed(name: str, settings: Settings) -> str:
    return f"`{printed.command('resume', [name], settings)}`"


def _without_ray(study: Record, settings: Settings) -> Result:
    """The result of a study of which nothing is left to train: Ray, which takes seconds to start,
    is not needed."""
    began = time.monotonic()
    tracker = _tracker(study, settings)
    tracker.start()
    tracker.require()
    notices = tracker.close(interrupted=False)
    return _result(study, tracker, began=began, notices=notices)


def send(name: str, settings: Settings) -> tuple[str, ...]:
    """Send MLflow what it lacks of a study, without a search; returns what it did not take.

    Raises:
        EnvironmentError: another process runs the study.
    """
    folder = settings.runs / name
    with (
        lock.locked(folder, storage.chosen(folder, settings.storage)),
        contextlib.closing(studies.open_study(name, settings.runs, settings.storage)) as study,
    ):
        tracker = _tracker(study, settings)
        tracker.start()
        return tracker.close(interrupted=False)


def _run(
    study: Record,
    settings: Settings,
    nodes: Sequence[Node],
    hold: Hold,
    listeners: Sequence[Listener],
) -> Result:
    began = time.monotonic()
    tracker = _tracker(study, settings)
    with session.tracked(settings, tracker, study, nodes, hold, trials=_left(study)) as now:
        stopped = now.trials(study, listeners=listeners)
        # The budget may be spent by now.
        tracker.resume_command = budget.resume_command(study)
    useless = budget.useless(study.space.study.budget, now.allocation.shape.gpus)
    return _result(
        study,
        tracker,
        began=began,
        interrupted=now.interrupted,
        stopped=stopped,
        notices=(*useless, *now.notices),
    )


def _left(study: Record) -> int:
    """Trials that are to run: those that were interrupted, and those that are still wanted."""
    outcomes = study.outcomes()
    unfinished = [outcome.state for outcome in outcomes if not outcome.over]
    over = len(outcomes) - len(unfinished)
    return max(study.wanted - over, unfinished.count("running"))


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
        validation=images_by_class(study.facts),
        commands=next_commands(study),
        interrupted=interrupted,
        stopped=stopped,
        notices=notices,
    )


def next_commands(study: Record) -> dict[str, str]:
    """What may be done after a search, or after one run, which has nothing to compare."""
    name, searched = study.name, study.searched
    verbs = ("best", *["confirm"] * searched, "ui")
    commands = {verb: provenance.command(study, verb, name) for verb in verbs}
    commands["resume"] = budget.resume_command(study)
    if searched:
        more = ["--trials", f"+{study.wanted}"]
        commands["more"] = provenance.command(study, "resume", name, *more)
    return commands


def _tracker(study: Record, settings: Settings) -> Tracker:
    uri = session.tracking_uri(settings)
    connect = functools.partial(
        open_mirror,
        study,
        uri=uri,
        artifacts=settings.runs / "artifacts",
        command=settings.command,
    )
    return Tracker(
        connect,
        record=study,
        uri=uri,
        resume_command=provenance.command(study, "resume", study.name),
        optional=settings.tracking_optional,
    )
