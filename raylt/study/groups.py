"""A trial of several workers: Ray Tune's trial process starts a Ray Train group for it.

Nothing is retried in here. A worker that died makes the whole trial process fail, and Ray Tune
starts it again, from the checkpoints of the trial; an error of the program is reported as the
trial's failure, for running the same program again would only fail again.
"""

from __future__ import annotations

import json
import os
import re
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raylt import recipe as recipes
from raylt.study import gauges, trainable

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
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError
    from ray.tune.integration.ray_train import TuneReportCallback

    from raylt.study.meeting import meeting

    folder = Path(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    recipe = recipes.parse(json.loads(config["recipe"]))
    gpus = float(config["gpus_per_worker"])
    resources = {"CPU": float(config["cpus_per_worker"]), **({"GPU": gpus} if gpus else {})}
    trainer = TorchTrainer(
        worker,
        train_loop_config={**config, "digest": recipe.digest},
        torch_config=meeting(gpus=gpus),
        scaling_config=ScalingConfig(
            num_workers=config["workers"],
            use_gpu=bool(gpus),
            resources_per_worker=resources,
            placement_strategy=config["placement"],
        ),
        run_config=RunConfig(
            name=f"trial-{config['number']}-{os.getpid()}",
            storage_path=config["scratch"],
            callbacks=[TuneReportCallback()],
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        tune.report({"failure": _cause(error, folder)})


def worker(config: dict[str, Any]) -> None:
    """One worker of a trial, for Ray Train."""
    from ray import train
    from ray.train.torch import get_device

    folder = Path(config["folder"])

    def report(metrics: Mapping[str, float]) -> None:
        trainable.demand_finite(metrics)
        train.report(dict(metrics))

    rank = train.get_context().get_world_rank()
    with trainable.output(folder / f"output-{rank}.txt"):
        try:
            recipe = _recipe(config)
            # Only the first worker's report is read, so only its machine is watched.
            on = config["system_metrics"] and rank == 0
            with gauges.read(report, on=on) as told:
                trainable.work(config["work"])(
                    recipe, root=Path(config["root"]), folder=folder, report=told,
                    device=str(get_device()),
                )  # fmt: skip
        except Exception as error:
            (folder / f"error-{rank}.txt").write_text(traceback.format_exc(), "utf-8")
            (folder / f"failure-{rank}.txt").write_text(trainable.one_line(error), "utf-8")
            raise


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
