"""Processors, memory, disk, network and GPUs of a trial's machine, measured by MLflow's monitors.

The readings are reported with each epoch, so that the record keeps them and MLflow gets them like
the accuracies. They have MLflow's own names, so it shows them in its tab of system metrics.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, cast

from raylt import threads

if TYPE_CHECKING:
    from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor

PREFIX = "system/"
"""How MLflow's names of them begin."""
INTERVAL = 2.0
"""Seconds between two readings; an epoch gets their mean."""

Report = Callable[[Mapping[str, float]], None]


@contextlib.contextmanager
def read(report: Report, *, on: bool) -> Generator[Report]:
    """A report that adds the readings since the last one; `report` itself unless `on`.

    Args:
        on: Whether the machine is watched; MLflow takes seconds to import.
    """
    if not on:
        yield report
        return
    monitors, lock = _monitors(), threading.Lock()

    def collect() -> None:
        with lock:
            for monitor in monitors:
                monitor.collect_metrics()

    def report_all(metrics: Mapping[str, float]) -> None:
        # An epoch may be shorter than the interval.
        collect()
        readings: dict[str, float] = {}
        with lock:
            for monitor in monitors:
                # MLflow's base class does not say what it returns.
                means: dict[str, float] = cast(Any, monitor).aggregate_metrics()
                readings |= {f"{PREFIX}{name}": float(mean) for name, mean in means.items()}
                monitor.clear_metrics()
        report({**metrics, **readings})

    with threads.every(INTERVAL, collect):
        yield report_all


def _monitors() -> list[BaseMetricsMonitor]:
    """The monitors that work on this machine; that of GPUs needs a GPU, for instance."""
    from raylt.study.resources import environment

    environment.prepare_mlflow()
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    monitors: list[BaseMetricsMonitor] = []
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor):
        try:
            monitor = kind()
            # The first reading of the processors' use spans no time at all.
            monitor.collect_metrics()
            monitor.clear_metrics()
        except Exception as error:
            # A monitor that fails must not end the trial.
            print(f"cannot log the system metrics of {kind.__name__}: {error}")
        else:
            monitors.append(monitor)
    return monitors
