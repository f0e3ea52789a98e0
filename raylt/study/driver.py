"""One search from a space to compared trials, through Ray Tune."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from raylt.cluster import address as addresses
from raylt.cluster.room import Node
from raylt.schema import EnvironmentError
from raylt.space import Space
from raylt.study import (
    draws,
    lock,
    machine,
    notes,
    packing,
    place,
    purse,
    remote,
    revise,
    server,
    storage,
    studies,
    tracking,
    watchdog,
)
from raylt.study.foresight import Foresight
from raylt.study.interruption import Interruption
from raylt.study.meanwhile import meanwhile
from raylt.study.place import Share, Wish
from raylt.study.record import CHECKPOINTS, Record
from raylt.study.result import Result
from raylt.study.retention import Retention
from raylt.study.server import Hold
from raylt.study.tracking import Tracker
from raylt.study.watchdog import Watchdog
from raylt.trial import bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Wish):
    """How a search runs, and on which machines; what it searches is the space's affair."""

    runs: Path
    """Folder of all studies."""
    root: Path
    """Folder of the datasets."""
    tracking_uri: str | None = None
    """MLflow's store; `mlflow.db` in `runs` where None."""
    tracking_optional: bool = False
    """Whether to begin though the store does not answer."""
    system_metrics: bool = False
    """Whether each epoch comes with what the trial's machine did meanwhile."""
    storage: str | None = None
    """URL of the PostgreSQL database that has the study of record; where None, that of
    OPTUNA_STORAGE, or else a SQLite file in the study's folder."""
    checkpoints: str | None = None
    """Bucket that keeps the checkpoints, too, as in s3://BUCKET/PREFIX; that of the study where
    None, if it has one."""
    retries: int = 2
    """How often a trial is started again whose process died."""
    quiet: bool = False
    """Whether nothing is shown while it runs."""
    command: str = ""
    """What the user typed, for the description of the study in MLflow."""
    work: str = "raylt.trial.worker:work"
    """The function that trains one recipe."""


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
    prepare(settings)
    folder = settings.runs / space.study.name
    url = storage.chosen(folder, settings.storage)
    queue = draws.grid(space) if space.study.sampler.name == "grid" else ()
    sampler = draws.sampler(space, begun=0)
    studies.demand_new(folder, url, space)
    new = not folder.exists()
    study: Record | None = None
    with lock.locked(folder, url) as hold:
        try:
            measured = meanwhile(floor)
            with room(settings, space) as nodes:
                facts = {
                    "floor": dict(measured()),
                    "fingerprint": fingerprint,
                    "command": tracking.public(settings.command),
                    "versions": notes.provenance(),
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
    name: str, settings: Settings, *, retry_failed: bool, trials: str | None = None,
    space: Space | None = None,
) -> Result:  # fmt: skip
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
    prepare(settings)
    folder = settings.runs / name
    seen = open_study(name, settings.runs, settings.storage)
    settings = replace(settings, checkpoints=remote.chosen(seen, settings.checkpoints))
    place.demand_even(space or seen.space, settings)
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
            with room(settings, study.space) as nodes:
                return _run(study, settings, nodes, hold)
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
        contextlib.closing(open_study(name, settings.runs, settings.storage)) as study,
    ):
        tracker = _tracker(study, settings)
        tracker.start()
        return tracker.close(interrupted=False)


def open_study(name: str, runs: Path, url: str | None = None) -> Record:
    """A study to read.

    Args:
        name: The study.
        runs: Folder of all studies.
        url: The server that has it, where neither its folder nor OPTUNA_STORAGE tells.

    Raises:
        InputError: there is no such study.
        EnvironmentError: its database cannot be read.
    """
    folder = runs / name
    return studies.load(folder, sampler=None, url=storage.chosen(folder, url))


def prepare(settings: Settings) -> None:
    """Look whether a trial can fit at all, and set what Ray, torch and MLflow read at import:
    what a search does before it imports any of them.

    Raises:
        InputError: the address is not one of a cluster that a search may join.
        EnvironmentError: not even one trial fits this machine.
    """
    place.demand_here(settings)
    alone = addresses.way(settings.address) == "here"
    machine.prepare(threads=settings.cpus_per_worker, alone=alone)
    # Ray Tune imports MLflow, to count who uses it.
    tracking.prepare()


@dataclass(slots=True, kw_only=True)
class Underway:
    """Ray and the tracker while a command uses them; made by `underway`."""

    settings: Settings
    tracker: Tracker
    interruption: Interruption
    hold: Hold
    share: Share
    """What a trial books, and how many run at a time."""
    notices: tuple[str, ...] = ()
    """What MLflow did not take; known at the end."""

    @property
    def interrupted(self) -> bool:
        """Whether the user wants an end, or another process may drive the study."""
        return self.interruption.seen or self.hold.lost

    def trials(self, study: Record) -> str:
        """Run the trials that a study still wants; returns why it ended early, or ""."""
        # Ray reads its environment when it is imported.
        from raylt.study import tuning
        from raylt.study.progress import Progress

        settings = self.settings
        if settings.checkpoints is not None:
            study.note(CHECKPOINTS, settings.checkpoints)
        look = functools.partial(watchdog.look, shape=self.share.shape)
        with (
            Progress(study, quiet=settings.quiet, console=Console(stderr=True)) as progress,
            Watchdog(look, patience=watchdog.PATIENCE) as dog,
            Retention(study) as retention,
        ):
            foresight = Foresight(
                study, self.share, runs=settings.runs, threads=settings.cpus_per_worker,
                say=progress.say,
            )  # fmt: skip
            return tuning.run(
                study,
                share=self.share,
                # What a trial sent is to be here before anybody looks at it.
                listeners=(
                    remote.Fetching(study),
                    progress,
                    self.tracker,
                    dog,
                    retention,
                    foresight,
                ),
                interrupted=lambda: self.interrupted,
                retries=settings.retries,
                root=settings.root,
                work=settings.work,
                system_metrics=settings.system_metrics,
                say=progress.say,
            )


@contextlib.contextmanager
def room(settings: Settings, space: Space) -> Generator[Sequence[Node]]:
    """Ray and its machines for the trials of a space, for the time of a `with`; after `prepare`.

    Raises:
        EnvironmentError: the tracker or the bucket does not answer at all, Ray does not come up,
            or the machines are not as they must be.
    """
    if not settings.tracking_optional:
        tracking.demand_reachable(tracking_uri(settings))
    if settings.checkpoints is not None:
        bucket.demand_writable(settings.checkpoints)
    # Workers of one trial meet in its folder, and so do the trials of a population.
    apart = settings.workers == 1 and not space.study.breeds
    with place.taken(
        settings, runs=settings.runs, work=settings.work,
        checkpoints=settings.checkpoints if apart else None,
    ) as nodes:  # fmt: skip
        yield nodes


@contextlib.contextmanager
def underway(
    settings: Settings, tracker: Tracker, study: Record, nodes: Sequence[Node], hold: Hold, *,
    trials: int | None = None,
) -> Generator[Underway]:  # fmt: skip
    """The tracker for the time of a `with` in which trials run; it is flushed at its end.

    Args:
        settings: Where and how.
        tracker: Not started yet.
        study: Whose trials are packed, if that is wished, by what they need.
        nodes: The machines, of `room`.
        hold: By which the study is held.
        trials: How many are to run; None where that is not known yet.

    Raises:
        EnvironmentError: the machines have no room for a trial, or the tracker is not as it must
            be.
    """
    now: Underway | None = None
    console = Console(stderr=True, quiet=settings.quiet)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

    weigh = packing.weigher(
        study, root=settings.root, runs=settings.runs, threads=settings.cpus_per_worker, say=say
    )  # fmt: skip
    with (
        # At the end, too: the tracker counts in the record what MLflow lacks.
        server.answering(study.url) if study.url else contextlib.nullcontext(),
        Interruption() as interruption,
    ):
        tracker.start()
        try:
            share = place.share(settings, nodes, weigh, trials=trials)
            tracker.demand()
            say(str(share))
            if settings.pack == "auto":
                say(packing.sentence(share))
            now = Underway(
                settings=settings,
                tracker=tracker,
                interruption=interruption,
                hold=hold,
                share=share,
            )
            yield now
        except KeyboardInterrupt:
            # The second Ctrl-C: whoever presses it does not want to wait for MLflow either.
            tracker.leave()
            raise
        finally:
            notices = tracker.close(interrupted=interruption.seen)
            if now is not None:
                now.notices = notices


def _run(study: Record, settings: Settings, nodes: Sequence[Node], hold: Hold) -> Result:
    began = time.monotonic()
    tracker = _tracker(study, settings)
    ended = sum(one.state in ("complete", "stopped", "failed") for one in study.outcomes())
    trials = max(0, study.wanted - ended)
    with underway(settings, tracker, study, nodes, hold, trials=trials) as now:
        stopped = now.trials(study)
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
        interrupted=now.interrupted,
        stopped=stopped,
        notices=(*purse.useless(study.space.study.budget, now.share.shape.gpus), *now.notices),
    )


def tracking_uri(settings: Settings) -> str:
    """The MLflow store that the settings or the environment name."""
    named = settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return named or tracking.default_uri(settings.runs)


def _tracker(study: Record, settings: Settings) -> Tracker:
    uri = tracking_uri(settings)
    connect = functools.partial(
        tracking.open_mirror, study, uri=uri, artifacts=settings.runs / "artifacts",
        command=tracking.public(settings.command),
    )  # fmt: skip
    return Tracker(
        connect, record=study, uri=uri, again=f"raylt resume {study.name}",
        optional=settings.tracking_optional,
    )  # fmt: skip
