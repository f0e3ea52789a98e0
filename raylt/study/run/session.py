"""What any command that trains needs: Ray, the tracker, and the trials' listeners."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylt import escape, uris
from raylt.cluster import address as addresses
from raylt.cluster import ray_compat
from raylt.cluster.capacity import Node
from raylt.schema import EnvironmentError
from raylt.settings import Settings
from raylt.study.cost import packing
from raylt.study.cost.executions import Executions
from raylt.study.record import postgres
from raylt.study.record.bucket import Fetching
from raylt.study.record.listener import Listener
from raylt.study.record.outcome import Outcome
from raylt.study.record.postgres import Hold
from raylt.study.record.record import CHECKPOINTS, Record
from raylt.study.resources import environment, joining
from raylt.study.resources.allocation import Allocation, allocate, ray_nodes
from raylt.study.run import watchdog
from raylt.study.run.guard import RayGuard
from raylt.study.run.interrupt import Interruption
from raylt.study.run.retention import Retention
from raylt.study.run.waiting import waiting
from raylt.study.tracking import store
from raylt.study.tracking.tracker import Tracker
from raylt.trial.checkpoints import bucket

if TYPE_CHECKING:
    from raylt.study.run.progress import Start


def tracking_uri(settings: Settings) -> str:
    """The MLflow store that the settings or the environment name."""
    named = settings.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    return named or store.default_uri(settings.runs)


def prepare(settings: Settings) -> None:
    """Set what Ray, torch and MLflow read when they are imported; call it before they are."""
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
    guard: RayGuard
    allocation: Allocation
    """What each trial gets, and how many run at a time."""
    notices: tuple[str, ...] = ()
    """What MLflow did not take; known at the end."""
    start: Start | None = None
    """When the first trials began, and the epochs before; known from then on."""

    @property
    def interrupted(self) -> bool:
        """Whether the user wants to stop, another process may drive the study, or Ray is lost."""
        return self.interruption.seen or self.hold.lost or bool(self.guard.lost)

    def trials(
        self,
        study: Record,
        *,
        listeners: Sequence[Listener] = (),
        shown: int | None = None,
        name: Callable[[Outcome], str] | None = None,
        only: Collection[str] | None = None,
    ) -> str:
        """Run the trials that a study still wants; returns why it ended early, or "".

        Args:
            listeners: The caller's own, which hear of everything last.
            shown: How many trials the user is told that it will have; default: those it wants.
            name: What a run of a confirmation is called.
            only: The digests of the runs that are shown; default: all of the study.
        """
        # Ray reads its environment when it is imported.
        from raylt.study.run.progress import Progress
        from raylt.study.search import tune

        settings = self.settings
        if settings.checkpoints is not None:
            study.note(CHECKPOINTS, settings.checkpoints)
        look = functools.partial(watchdog.look, shape=self.allocation.shape)
        progress = Progress(
            study,
            quiet=settings.quiet,
            console=escape.console(stderr=True),
            wanted=shown,
            name=name,
            only=only,
            start=self.start,
        )
        self.start = progress.start
        with (
            progress,
            self.interruption.saying(progress.say, progress.stopping),
            joining.followed(
                self.allocation,
                settings,
                bucket=_bucket_instead_of_folder(settings),
                say=progress.say,
            ) as concurrent,
            watchdog.watching(look, patience=watchdog.PATIENCE) as dog,
            Retention(study) as retention,
        ):
            # A trial's files are fetched before any other listener reads them.
            own = (Fetching(study), Executions(study), progress, self.tracker, dog, retention)
            return tune.run(
                study,
                allocation=self.allocation,
                concurrent=concurrent,
                listeners=(*own, *listeners),
                interrupted=lambda: self.interrupted,
                ray_lost=self.guard.look,
                settings=settings,
                say=progress.say,
            )


@contextlib.contextmanager
def ray_session(settings: Settings) -> Generator[Sequence[Node]]:
    """Ray and its machines, for the time of a `with`; call `prepare` first.

    Raises:
        EnvironmentError: the tracker or the bucket cannot be reached, Ray does not start, or the
            machines are not as they must be.
    """
    if not settings.tracking_optional:
        store.require_reachable(tracking_uri(settings))
    if settings.checkpoints is not None:
        bucket.require_writable(settings.checkpoints)
    instead = _bucket_instead_of_folder(settings)
    with contextlib.ExitStack() as stack:
        where = "starting Ray"
        if settings.address is not None:
            where = f"joining Ray at {uris.public(settings.address)}"
        with waiting(where, quiet=settings.quiet):
            nodes = stack.enter_context(ray_nodes(settings, bucket=instead))
        yield nodes


def _bucket_instead_of_folder(settings: Settings) -> str | None:
    """The bucket by which machines do without a shared folder of runs, where that is possible."""
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
    """A session with its tracker, for the time of a `with`; at its end the tracker is flushed.

    Args:
        study: The study; trials that are packed automatically are packed by its recipes.

    Raises:
        EnvironmentError: the machines have no room for a trial, the tracker cannot be used, or a
            part of Ray is lost.
    """
    session: Session | None = None
    console = escape.console(stderr=True, quiet=settings.quiet)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

    with (
        # Until the very end: the tracker counts in the record what MLflow lacks.
        postgres.answering(study.url) if study.url else contextlib.nullcontext(),
        Interruption(say) as interruption,
        RayGuard(
            ray_compat.own_processes() or ray_compat.joined_raylet(),
            head=ray_compat.joined_head(),
            resume_command=tracker.resume_command,
            interrupted=lambda: interruption.seen,
        ) as guard,
    ):
        tracker.start()
        try:
            allocation = _allocated(study, settings, nodes, trials, say)
            with waiting("waiting for MLflow", quiet=settings.quiet, brief=True):
                tracker.require()
            session = Session(
                settings=settings,
                tracker=tracker,
                interruption=interruption,
                hold=hold,
                guard=guard,
                allocation=allocation,
            )
            yield session
        except (EnvironmentError, OSError) as error:
            # Many rooms refuse without knowing which command they serve.
            if not getattr(error, "names_command", False):
                error.add_note(f"then go on with `{tracker.resume_command}`")
            raise
        except KeyboardInterrupt:
            # The second Ctrl-C: whoever presses it does not want to wait for MLflow either.
            tracker.leave()
            raise KeyboardInterrupt(
                f"at once; what was scored is saved: `{tracker.resume_command}`"
            ) from None
        finally:
            with waiting("sending the rest to MLflow", quiet=settings.quiet, brief=True):
                notices = tracker.close(interrupted=interruption.seen or bool(guard.lost))
            if session is not None:
                session.notices = notices


def _allocated(
    study: Record,
    settings: Settings,
    nodes: Sequence[Node],
    trials: int | None,
    say: Callable[[str], None],
) -> Allocation:
    """What each trial gets and how many run at a time; the user is told."""
    measure = packing.weigher(study, settings, say=say)
    allocation = allocate(settings, nodes, measure, trials=trials)
    say(str(allocation))
    if settings.pack == "auto":
        say(packing.sentence(allocation))
    return allocation
