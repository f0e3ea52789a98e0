"""A trial of several workers: Ray Tune's trial process starts a Ray Train group for it.

No failure is retried in here. A worker that died makes the whole trial process fail, and Ray Tune
starts it again, from the checkpoints of the trial; an error of the program is reported as the
trial's failure, for running the same program again would only fail again.

A group that gives its places back is no failure: it leaves after an epoch, with a checkpoint,
because one of its machines is about to go or because there is room for more workers, and the
trial goes on in another group as soon as there is room for one.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from raylt import recipe as recipes
from raylt.cluster import bookings, capacity
from raylt.cluster.capacity import Shape
from raylt.study.workers import elastic, system_metrics, trainable
from raylt.study.workers.elastic import Places
from raylt.trial.checkpoints import bucket
from raylt.trial.checkpoints.upload import sending

Left = Literal["notice", "growth"]
"""Why a group left before its trial was done."""

_PEER_LOST = re.compile(
    r"closed by peer|connection reset|broken pipe|socket closed|nccl|timed out waiting",
    re.IGNORECASE,
)
"""What a worker says when another one has died under it."""


class WorkerLost(RuntimeError):
    """A worker process of a trial died; the trial may be started again."""


def trial(config: dict[str, Any]) -> None:
    """One trial as a group of workers, for Ray Tune; reports like `trainable.trial`.

    Raises:
        WorkerLost: a worker died.
    """
    # The environment must be as the driver made it before Ray is imported.
    from ray import tune

    folder = Path(config["folder"])
    trainable.require_shared(folder, None)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = recipes.parse(json.loads(config["recipe"]))
    shape = Shape(**config["shape"])
    counts = _counts(recipe, shape)
    if not counts:
        tune.report({"failure": _uneven(recipe, shape)})
        return
    if (bucketed := trainable.bucket_of(config)) is not None:
        bucket.bring(bucketed, folder, whole=True)
    left: Left | None = "notice"
    for attempt in itertools.count():
        with trainable.output(folder / "output.txt"):
            places = elastic.awaited(
                shape, counts=counts, trials=config["trials"], growing=left == "growth"
            )
        name = f"trial-{config['number']}-{os.getpid()}-{attempt}"
        inner = {**config, "digest": recipe.digest, "counts": counts}
        try:
            left = _fit(_trainer(inner, shape, places=places, name=name))
        except TrainingFailed as error:
            tune.report({"failure": _cause(error, folder)})
            return
        finally:
            bookings.cancel(places.booking)
        if left is None:
            return


class TrainingFailed(Exception):
    """What Ray Train says of a group that failed."""


def _counts(recipe: recipes.Recipe, shape: Shape) -> tuple[int, ...]:
    """How many workers a trial may have."""
    if not shape.elastic:
        return (shape.workers,)
    return capacity.even(recipe.optimizer.batch_size, least=shape.least, most=shape.workers)


def _uneven(recipe: recipes.Recipe, shape: Shape) -> str:
    size = recipe.optimizer.batch_size
    nearest = max(2, size // shape.least) * shape.least
    return (
        f"optimizer.batch_size must divide evenly over {shape.least} to {shape.workers} workers, "
        f"two images or more for each, but got {size}; try {nearest}"
    )


def _trainer(config: dict[str, Any], shape: Shape, *, places: Places, name: str) -> Any:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    from raylt.study.workers.ray_train import Handover
    from raylt.study.workers.torch_backend import meeting

    # Ray Train takes more kinds of callbacks than it declares.
    callbacks: Any = [TuneReportCallback(), Handover(places.booking)]
    return TorchTrainer(
        worker,
        train_loop_config=config,
        torch_config=meeting(gpus=shape.gpus),
        scaling_config=ScalingConfig(
            num_workers=places.workers,
            use_gpu=bool(shape.gpus),
            resources_per_worker=shape.bundle,
            placement_strategy=shape.placement.upper(),
        ),
        run_config=RunConfig(
            name=name,
            storage_path=config["scratch"],
            callbacks=callbacks,
            failure_config=FailureConfig(
                max_failures=0, controller_failure_limit=0, max_preemption_failures=0
            ),
        ),
    )


def _fit(trainer: Any) -> Left | None:
    """Train to the end of the trial, or until the group leaves, and say why it did.

    Raises:
        TrainingFailed: a worker died, or the program failed.
    """
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError
    from ray.train.v2.api.exceptions import ControllerError, PreemptionError, TrainingFailedError

    try:
        return trainer.fit().return_value
    except PreemptionError:
        # Its machine went before the epoch was over.
        return "notice"
    except TrainingFailedError as error:
        early = isinstance(error, ControllerError) and isinstance(
            error.controller_failure, WorkerGroupStartupTimeoutError
        )
        # Another trial took the places first.
        if early:
            return "notice"
        raise TrainingFailed(str(error)) from error


def worker(config: dict[str, Any]) -> Left | None:
    """One worker of a trial, for Ray Train; returns why it left before the trial was done."""
    from ray import train
    from ray.train.torch import get_device

    folder = Path(config["folder"])
    trainable.require_shared(folder, None)
    shape = Shape(**config["shape"])
    world = train.get_context().get_world_size()

    def report(metrics: Mapping[str, float]) -> None:
        trainable.require_finite(metrics)
        # The searcher keeps account of what a trial books.
        train.report({**metrics, "booked": world / shape.workers})
        trainable.require_more(metrics, config["until"])

    leaving = Leaving(_asks(shape, config["counts"]))
    rank = train.get_context().get_world_rank()
    # The first worker writes the checkpoints; the folder is shared.
    bucketed = trainable.bucket_of(config) if rank == 0 else None
    with sending(folder, bucketed), trainable.output(folder / f"output-{rank}.txt"):
        try:
            recipe = _recipe(config)
            # Only the first worker's report is read, so only its machine is watched.
            on = config["system_metrics"] and rank == 0
            with system_metrics.read(report, on=on) as told:
                trainable.work(config["work"])(
                    recipe,
                    root=Path(config["root"]),
                    folder=folder,
                    report=told,
                    device=str(get_device()),
                    leave=leaving,
                )
        except trainable.Reached:
            return None
        except Exception as error:
            (folder / f"error-{rank}.txt").write_text(traceback.format_exc(), "utf-8")
            (folder / f"failure-{rank}.txt").write_text(trainable.one_line(error), "utf-8")
            raise
    return leaving.why


class Leaving:
    """Asks after an epoch whether to leave, and remembers why; every worker has to call it.

    Args:
        asks: Tells why, alike in every worker, or None to stay.
    """

    def __init__(self, asks: Callable[[], Left | None]) -> None:
        self.why: Left | None = None
        self._asks = asks

    def __call__(self) -> bool:
        """Whether to leave now."""
        self.why = self._asks()
        return self.why is not None


def _asks(shape: Shape, counts: Sequence[int]) -> Callable[[], Left | None]:
    from ray import train
    from ray.train.collective import broadcast_from_rank_zero

    context = train.get_context()
    have = context.get_world_size()
    growing = have < max(counts)
    first = growing and context.get_world_rank() == 0
    growth = elastic.Growth(shape, counts=counts, have=have) if first else None

    def asks() -> Left | None:
        if train.get_preemption_info() is not None:
            return "notice"
        if growing and broadcast_from_rank_zero(growth.due() if growth else None):
            return "growth"
        return None

    return asks


def _recipe(config: Mapping[str, Any]) -> recipes.Recipe:
    """The trial's recipe as this machine understands it.

    Raises:
        ValueError: it is another one than where the trial began, as with two versions of raylt.
    """
    recipe = recipes.parse(json.loads(config["recipe"]))
    if recipe.digest != config["digest"]:
        raise ValueError(
            f"every machine must read the same recipe, but {socket.gethostname()} reads "
            f"{recipe.digest} for {config['digest']}; install one version of raylt everywhere"
        )
    return recipe


def _cause(error: Exception, folder: Path) -> str:
    """Why the program failed, in one line.

    Raises:
        WorkerLost: the program did not fail, a worker died.
    """
    told = sorted(folder.glob("failure-*.txt"))
    lines = [path.read_text("utf-8") for path in told]
    for path in told:
        path.unlink()
    # A worker whose partner died fails too, but that is not the program's fault.
    own = [line for line in lines if not _PEER_LOST.search(line)]
    if own:
        return own[0]
    raise WorkerLost(" ".join(lines or [str(error)])[:500]) from error
