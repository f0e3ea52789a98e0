"""What any command that trains works with: its settings, Ray, the tracker, and their end."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from raylt.cluster import address as addresses
from raylt.cluster.capacity import Node
from raylt.study.cost import packing
from raylt.study.record import bucket as remote
from raylt.study.record import postgres
from raylt.study.record.listener import Listener
from raylt.study.record.postgres import Hold
from raylt.study.record.record import CHECKPOINTS, Record
from raylt.study.resources import allocation, environment, joining
from raylt.study.resources.allocation import Allocation, ResourceRequest
from raylt.study.run import watchdog
from raylt.study.run.interrupt import Interruption
from raylt.study.run.retention import Retention
from raylt.study.run.watchdog import Watchdog
from raylt.study.tracking import store
from raylt.study.tracking.tracker import Tracker
from raylt.trial.checkpoints import bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ResourceRequest):
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
    listeners: Sequence[Listener] = ()
    """Who else hears what happens to trials, in a search that Python began."""
    work: str = "raylt.trial.worker:work"
    """The function that trains one recipe."""


def tracking_uri(settings: Settings) -> str:
    """The MLflow store that the settings or the environment name."""
    named = settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return named or store.default_uri(settings.runs)


def prepare(settings: Settings) -> None:
    """Look whether a trial can fit at all, and set what Ray, torch and MLflow read at import:
    what a search does before it imports any of them.

    Raises:
        InputError: the address is not one of a cluster that a search may join.
        EnvironmentError: not even one trial fits this machine.
    """
    allocation.require_here(settings)
    alone = addresses.way(settings.address) == "here"
    environment.prepare_ray(threads=settings.cpus_per_worker, alone=alone)
    # Ray Tune imports MLflow, to count who uses it.
    environment.prepare_mlflow()


@dataclass(slots=True, kw_only=True)
class Session:
    """Ray and the tracker while a command uses them; made by `tracked`."""

    settings: Settings
    tracker: Tracker
    interruption: Interruption
    hold: Hold
    share: Allocation
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
        from raylt.study.run.progress import Progress
        from raylt.study.search import tune

        settings = self.settings
        if settings.checkpoints is not None:
            study.note(CHECKPOINTS, settings.checkpoints)
        look = functools.partial(watchdog.look, shape=self.share.shape)
        with (
            Progress(study, quiet=settings.quiet, console=Console(stderr=True)) as progress,
            joining.followed(
                self.share,
                address=settings.address,
                runs=settings.runs,
                checkpoints=_in_place_of_folder(settings),
                say=progress.say,
            ) as concurrent,
            Watchdog(look, patience=watchdog.PATIENCE) as dog,
            Retention(study) as retention,
        ):
            return tune.run(
                study,
                share=self.share,
                concurrent=concurrent,
                # What a trial sent is to be here before anybody looks at it.
                listeners=(
                    remote.Fetching(study),
                    progress,
                    self.tracker,
                    dog,
                    retention,
                    *settings.listeners,
                ),
                interrupted=lambda: self.interrupted,
                retries=settings.retries,
                root=settings.root,
                work=settings.work,
                system_metrics=settings.system_metrics,
                say=progress.say,
            )


@contextlib.contextmanager
def room(settings: Settings) -> Generator[Sequence[Node]]:
    """Ray and its machines, for the time of a `with`; after `prepare`.

    Raises:
        EnvironmentError: the tracker or the bucket does not answer at all, Ray does not come up,
            or the machines are not as they must be.
    """
    if not settings.tracking_optional:
        store.require_reachable(tracking_uri(settings))
    if settings.checkpoints is not None:
        bucket.require_writable(settings.checkpoints)
    with allocation.taken(
        settings, runs=settings.runs, work=settings.work, checkpoints=_in_place_of_folder(settings)
    ) as nodes:
        yield nodes


def _in_place_of_folder(settings: Settings) -> str | None:
    """The bucket that stands in for a shared folder, where there is one and it can."""
    # The workers of one trial meet in its folder.
    return settings.checkpoints if settings.workers == 1 else None


@contextlib.contextmanager
def tracked(
    settings: Settings,
    tracker: Tracker,
    study: Record,
    nodes: Sequence[Node],
    hold: Hold,
    *,
    trials: int | None = None,
) -> Generator[Session]:
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
    now: Session | None = None
    console = Console(stderr=True, quiet=settings.quiet)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

    weigh = packing.weigher(
        study, root=settings.root, runs=settings.runs, threads=settings.cpus_per_worker, say=say
    )
    with (
        # At the end, too: the tracker counts in the record what MLflow lacks.
        postgres.answering(study.url) if study.url else contextlib.nullcontext(),
        Interruption() as interruption,
    ):
        tracker.start()
        try:
            share = allocation.share(settings, nodes, weigh, trials=trials)
            tracker.demand()
            say(str(share))
            if settings.pack == "auto":
                say(packing.sentence(share))
            now = Session(
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
