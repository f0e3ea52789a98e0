"""A trial of several workers: Ray Tune's trial process starts a Ray Train group for it.

Nothing is retried in here. When a worker dies, the whole trial process fails, and the search
starts it again from the checkpoints of the trial. An error of the program is reported as the
trial's failure: running the same program again would only fail again.

A group leaves after an epoch, with a checkpoint, when one of its machines is about to go or when
there is room for more workers. The trial then goes on in a new group.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raylt import recipe as recipes
from raylt.cluster import capacity, ray_compat
from raylt.cluster.capacity import Shape
from raylt.study.workers import elastic, trainable
from raylt.trial.checkpoints import bucket
from raylt.trial.checkpoints.upload import sending

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer

Reason = Literal["notice", "growth"]
"""Why a group left before its trial was done."""

_PEER_LOST = re.compile(
    r"closed by peer|connection reset|broken pipe|socket closed|nccl|timed out waiting|actor died",
    re.IGNORECASE,
)
"""What a worker says when another one has died under it."""


class WorkerLost(RuntimeError):
    """A worker process of a trial died; the trial may be started again."""


@trainable.ending_with_ray()
def trial(config: dict[str, Any]) -> None:
    """One trial as a group of workers, for Ray Tune; reports like `trainable.trial`.

    Raises:
        WorkerLost: a worker died.
    """
    # The environment must be as the driver made it before Ray is imported.
    from ray import tune
    from ray.train import TrainingFailedError

    from raylt.study.workers import ray_train

    folder = Path(config["folder"])
    trainable.require_shared(folder, None)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = trainable.recipe_of(config)
    shape = Shape(**config["shape"])
    size, least, most = recipe.optimizer.batch_size, shape.least, shape.workers
    counts = capacity.even(size, least=least, most=most)
    if not counts:
        uneven = capacity.uneven(size, least=least, most=most)
        tune.report({"failure": f"optimizer.batch_size {uneven}"})
        return
    if (bucketed := trainable.bucket_of(config)) is not None:
        bucket.bring(bucketed, folder, whole=True)
    config = {**config, "digest": recipe.digest, "counts": counts}
    reason: Reason | None = None
    for attempt in itertools.count():
        with trainable.output(folder / "output.txt"):
            workers = elastic.wait_for_room(
                shape, counts=counts, trials=config["trials"], growing=reason == "growth"
            )
        name = f"trial-{config['number']}-{os.getpid()}-{attempt}"
        try:
            reason = _fit(ray_train.trainer(worker, config, shape, workers=workers, name=name))
        except TrainingFailedError as error:
            tune.report({"failure": cause_of_failure(error, folder)})
            return
        if reason is None:
            return


def _fit(trainer: TorchTrainer) -> Reason | None:
    """Train to the end of the trial, or until the group leaves; returns why it left.

    Raises:
        TrainingFailedError: a worker died, or the program failed.
    """
    from ray.train import PreemptionError, TrainingFailedError

    try:
        return trainer.fit().return_value
    except PreemptionError:
        # A machine went before the epoch was over.
        return "notice"
    except TrainingFailedError as error:
        if not ray_compat.found_no_room(error):
            raise
        # Another trial was faster: look again for machines.
        return "notice"


@trainable.ending_with_ray()
def worker(config: dict[str, Any]) -> Reason | None:
    """One worker of a trial, for Ray Train; returns why it left before the trial was done."""
    from ray import train
    from ray.train.torch import get_device

    folder = Path(config["folder"])
    trainable.require_shared(folder, None)
    shape = Shape(**config["shape"])
    world, rank = train.get_context().get_world_size(), train.get_context().get_world_rank()

    def report(metrics: Mapping[str, float]) -> None:
        trainable.require_finite(metrics)
        # The searcher adds up what each trial books.
        train.report({**metrics, "booked": world / shape.workers})

    departure = Departure(shape, config["counts"])
    # The first worker writes the checkpoints; the folder is shared.
    bucketed = trainable.bucket_of(config) if rank == 0 else None
    with sending(folder, bucketed), trainable.output(folder / f"output-{rank}.txt"):
        try:
            # Only the first worker's report is read, so only its machine is watched.
            device, watched = str(get_device()), rank == 0
            trainable.train(
                config,
                sent_recipe(config),
                report,
                watched=watched,
                device=device,
                leave=departure,
            )
        except Exception as error:
            (folder / f"error-{rank}.txt").write_text(traceback.format_exc(), "utf-8")
            (folder / f"failure-{rank}.txt").write_text(trainable.one_line(error), "utf-8")
            raise
    return departure.reason


class Departure:
    """Asks after an epoch whether the group leaves, and keeps the reason.

    Every worker has to call it, and all get the same answer.
    """

    def __init__(self, shape: Shape, counts: Sequence[int]) -> None:
        from ray import train

        context = train.get_context()
        workers = context.get_world_size()
        self.reason: Reason | None = None
        self._may_grow = workers < max(counts)
        asks = self._may_grow and context.get_world_rank() == 0
        self._growth = elastic.Growth(shape, counts=counts, workers=workers) if asks else None

    def __call__(self) -> bool:
        """Whether to leave now."""
        from ray import train
        from ray.train.collective import broadcast_from_rank_zero

        if train.get_preemption_info() is not None:
            self.reason = "notice"
        elif self._may_grow:
            due = self._growth.due() if self._growth else None
            self.reason = "growth" if broadcast_from_rank_zero(due) else None
        return self.reason is not None


def sent_recipe(config: Mapping[str, Any]) -> recipes.Recipe:
    """The trial's recipe as this machine understands it.

    Raises:
        ValueError: it differs from the recipe with which the trial began.
    """
    recipe = trainable.recipe_of(config)
    if recipe.digest != config["digest"]:
        raise ValueError(
            f"every machine must read the same recipe, but {socket.gethostname()} reads "
            f"{recipe.digest} instead of {config['digest']}; install one version of raylt "
            f"everywhere"
        )
    return recipe


def cause_of_failure(error: Exception, folder: Path) -> str:
    """Why the program failed, in one line.

    Raises:
        WorkerLost: the program did not fail, a worker died.
    """
    files = sorted(folder.glob("failure-*.txt"))
    failures = [path.read_text("utf-8") for path in files]
    for path in files:
        path.unlink()
    # A worker whose partner died fails too, but that is not the program's fault.
    own = [failure for failure in failures if not _PEER_LOST.search(failure)]
    if own:
        return own[0]
    raise WorkerLost(" ".join(failures or [str(error)])[:500]) from error
