"""One search from a space to compared trials, through Ray Tune."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import signal
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from raylt.schema import EnvironmentError
from raylt.space import Space
from raylt.study import draws, machine, record, tracking
from raylt.study.record import Record
from raylt.study.result import Result
from raylt.study.tracking import Tracker


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a search runs on this machine; what it searches is the space's affair."""

    runs: Path
    """Folder of all studies."""
    root: Path
    """Folder of the datasets."""
    tracking_uri: str | None = None
    """MLflow's store; `mlflow.db` in `runs` where None."""
    workers: int = 1
    """Processes that train one trial together."""
    cpus_per_worker: int = 1
    """Cores, and threads of torch, of each."""
    gpus_per_worker: float | None = None
    """GPUs of each, or a share of one; where None, one if this machine has any."""
    cpus: int | None = None
    """Cores that the search may use; all where None."""
    concurrent: int | None = None
    """Trials at a time; as many as fit where None."""
    retries: int = 2
    """How often a trial is started again whose process died."""
    quiet: bool = False
    """Whether nothing is shown while it runs."""
    command: str = ""
    """What the user typed, for the description of the study in MLflow."""
    work: str = "raylt.trial.worker:work"
    """The function that trains one recipe."""


def search(
    space: Space, settings: Settings, *, floor: Mapping[str, float], fingerprint: str
) -> Result:
    """Begin a study and run it to its end.

    Args:
        space: What to search.
        settings: Where and how.
        floor: What raw pixels reach on the same labels, kept with the study and shown.
        fingerprint: Of the dataset; only studies with equal ones may be compared.

    Raises:
        InputError: the study exists already, or the space does not suit its sampler.
        EnvironmentError: the machine, the folder or the tracker is not as it must be.
    """
    _demand_room(settings)
    folder = settings.runs / space.study.name
    queue = draws.grid(space) if space.study.sampler.name == "grid" else ()
    sampler = draws.sampler(space, begun=0)
    facts = {"floor": dict(floor), "fingerprint": fingerprint}
    new = not folder.exists()
    with locked(folder):
        study = record.create(folder, space, sampler=sampler, queue=queue, facts=facts)
        try:
            return _run(study, settings)
        except EnvironmentError:
            # Nothing was started, so nothing stays.
            if new:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def resume(name: str, settings: Settings, *, retry_failed: bool) -> Result:
    """Go on with a study: trials in flight from their checkpoints, then the ones still wanted.

    Args:
        name: The study.
        settings: Where and how; they may differ from those that the study began with.
        retry_failed: Whether trials that failed are run again, under new numbers.

    Raises:
        InputError: there is no such study.
        EnvironmentError: another process drives it, or as for `search`.
    """
    _demand_room(settings)
    folder = settings.runs / name
    seen = open_study(name, settings.runs)
    with locked(folder):
        sampler = draws.sampler(seen.space, begun=len(seen.outcomes()))
        study = record.load(folder, sampler=sampler)
        if retry_failed:
            study.requeue_failed()
        return _run(study, settings)


def open_study(name: str, runs: Path) -> Record:
    """A study to read.

    Raises:
        InputError: there is no such study.
    """
    return record.load(runs / name, sampler=None)


def driver_of(folder: Path) -> int | None:
    """The process that drives the study in a folder now, or None."""
    try:
        with (folder / "driver.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int((folder / "driver.lock").read_text().strip() or 0)
    except FileNotFoundError:
        pass
    return None


@contextlib.contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold a study for one driver; the kernel gives it free however the process ends.

    Raises:
        EnvironmentError: another process holds it, or the folder cannot be written.
    """
    path = folder / "driver.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise EnvironmentError(
            f"the folder of runs must be writable, but {folder} is not: {error.strerror}; "
            f"choose another with --runs or RAYLT_RUNS"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentError(
                f"a study must have one driver, but process {driver_of(folder)} drives "
                f"{folder.name!r}; wait for it, or interrupt it"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


class Interruption:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a flag; the second Ctrl-C ends at once."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.seen = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        # Only the main thread may handle signals; a notebook's worker thread does without.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True


def _demand_room(settings: Settings) -> None:
    """Raises EnvironmentError if not even one trial fits this machine."""
    have = settings.cpus or machine.cores()
    need = settings.workers * settings.cpus_per_worker
    if need > have:
        raise EnvironmentError(
            f"a trial must fit the machine, but {settings.workers} workers with "
            f"{settings.cpus_per_worker} cores each need {need} cores and there are {have}; "
            f"lower --workers"
        )


def _run(study: Record, settings: Settings) -> Result:
    began = time.monotonic()
    machine.prepare(threads=settings.cpus_per_worker)
    tracker = _tracker(study, settings)
    stopped, notices = "", ()
    with Interruption() as interruption:
        # MLflow connects while Ray starts.
        tracker.start()
        try:
            cpus = settings.cpus or machine.cores()
            with machine.ray_here(cpus=cpus, dashboard=settings.workers > 1) as resources:
                tracker.demand()
                stopped = _tune(study, settings, resources, interruption, tracker)
        finally:
            notices = tracker.close(interrupted=interruption.seen)
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
        floor=study.facts["floor"],
        tracking_uri=tracker.uri,
        seconds=time.monotonic() - began,
        interrupted=interruption.seen,
        stopped=stopped,
        notices=notices,
    )


def _tracker(study: Record, settings: Settings) -> Tracker:
    uri = settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    uri = uri or tracking.default_uri(settings.runs)
    connect = functools.partial(
        tracking.open_mirror, study, uri=uri, artifacts=settings.runs / "artifacts",
        command=tracking.public(settings.command),
    )  # fmt: skip
    return Tracker(connect, uri=uri, name=study.name)


def _tune(
    study: Record,
    settings: Settings,
    resources: Mapping[str, float],
    interruption: Interruption,
    tracker: Tracker,
) -> str:
    """Run the trials that the study wants; returns why it ended early, or ""."""
    # Ray reads its environment when it is imported.
    from raylt.study import tuning
    from raylt.study.progress import Progress

    share = tuning.share(
        resources, workers=settings.workers, cpus_per_worker=settings.cpus_per_worker,
        gpus_per_worker=settings.gpus_per_worker, concurrent=settings.concurrent,
    )  # fmt: skip
    with Progress(study, quiet=settings.quiet, console=Console(stderr=True)) as progress:
        return tuning.run(
            study,
            share=share,
            listeners=(progress, tracker),
            interrupted=lambda: interruption.seen,
            retries=settings.retries,
            root=settings.root,
            work=settings.work,
        )
