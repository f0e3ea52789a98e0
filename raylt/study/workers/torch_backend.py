"""How the workers of a trial meet: by torch.distributed, on the interface that Ray knows."""

from __future__ import annotations

from typing import Any

from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend  # pyright: ignore[reportPrivateUsage]

from raylt.cluster import network

TIMEOUT = 300
"""Seconds that a worker waits for the others."""


class TorchBackend(TorchConfig):
    """Ray Train's own way to connect workers, with the interface named to each of them first."""

    @property
    def backend_cls(self) -> type[_Backend]:
        """What connects the workers."""
        return _Backend


class _Backend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: TorchConfig) -> None:
        worker_group.execute(network.name_own_interface)
        super().on_start(worker_group, backend_config)


def meeting(*, gpus: float) -> TorchBackend:
    """The connection of workers with `gpus` GPUs each.

    NCCL refuses two workers on one GPU, so those that share one meet over gloo.
    """
    return TorchBackend(backend="nccl" if gpus >= 1 else "gloo", timeout_s=TIMEOUT)
