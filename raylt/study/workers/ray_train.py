"""The Ray Train run of one trial: its workers, and how they are connected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from raylt.cluster import network
from raylt.cluster.capacity import Shape

TIMEOUT = 300
"""Seconds that a worker waits for the others."""

_Connection: Any = TorchConfig().backend_cls


class _OnOwnInterface(_Connection):
    """Ray Train's own way to connect workers, with the interface named to each of them first."""

    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        worker_group.execute(network.name_own_interface)
        super().on_start(worker_group, backend_config)


class TorchBackend(TorchConfig):
    """torch.distributed on the interface by which Ray knows each machine."""

    @property
    def backend_cls(self) -> type[Any]:
        """What connects the workers."""
        return _OnOwnInterface


def torch_backend(*, gpus: float) -> TorchBackend:
    """The connection of workers with `gpus` GPUs each.

    NCCL refuses two workers on one GPU, so workers that share one use gloo.
    """
    return TorchBackend(backend="nccl" if gpus >= 1 else "gloo", timeout_s=TIMEOUT)


def trainer(
    worker: Callable[[dict[str, Any]], Any],
    config: Mapping[str, Any],
    shape: Shape,
    *,
    workers: int,
    name: str,
) -> TorchTrainer:
    """A group of workers that reports to Ray Tune and retries nothing by itself.

    Args:
        worker: What each of them runs, called with `config`.
        config: The trial, with `scratch`, a folder for Ray Train.
        shape: What each worker books, and where they stand.
        name: Of the run, unlike that of every other group.
    """
    return TorchTrainer(
        worker,
        train_loop_config=dict(config),
        torch_config=torch_backend(gpus=shape.gpus),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=bool(shape.gpus),
            resources_per_worker=shape.bundle,
            placement_strategy=shape.placement.upper(),
        ),
        run_config=RunConfig(
            name=name,
            storage_path=config["scratch"],
            callbacks=[TuneReportCallback()],
            failure_config=FailureConfig(
                max_failures=0, controller_failure_limit=0, max_preemption_failures=0
            ),
        ),
    )
