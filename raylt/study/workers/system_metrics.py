"""What a trial's machine does meanwhile, by MLflow's own monitors and under MLflow's own names.

The readings travel with the epochs: what they say is kept in the record, and reaches MLflow as
surely as the accuracies do. MLflow shows them in a tab of their own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor

PREFIX = "system/"
"""What MLflow knows them by."""
_EVERY = 2.0
"""Seconds between two readings; an epoch gets their mean."""

Report = Callable[[Mapping[str, float]], None]


@contextlib.contextmanager
def read(report: Report, *, on: bool) -> Generator[Report]:
    """A report that adds the readings since the one before it; `report` itself unless `on`.

    Args:
        report: Takes the metrics of an epoch.
        on: Whether the machine is watched; MLflow takes seconds to import.
    """
    if not on:
        yield report
        return
    monitors = _monitors()
    reading, over = threading.Lock(), threading.Event()

    def look() -> None:
        with reading:
            for each in monitors:
                each.collect_metrics()

    def watch() -> None:
        while not over.wait(_EVERY):
            look()

    def tell(metrics: Mapping[str, float]) -> None:
        # An epoch may be shorter than the time between two readings.
        look()
        with reading:
            # MLflow's base class does not say what it returns.
            found: list[dict[str, float]] = [
                cast(Any, each).aggregate_metrics() for each in monitors
            ]
            for each in monitors:
                each.clear_metrics()
        seen = {f"{PREFIX}{key}": float(value) for one in found for key, value in one.items()}
        report({**metrics, **seen})

    thread = threading.Thread(target=watch, name="gauges", daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        over.set()
        thread.join()


def _monitors() -> list[BaseMetricsMonitor]:
    """Those that this machine answers to; one without a GPU, for instance, has nothing to read."""

    from raylt.study.resources import environment

    environment.prepare_mlflow()
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found: list[BaseMetricsMonitor] = []
    for kind in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor):
        try:
            monitor = kind()
            # The first reading of a processor's use is of no time at all.
            monitor.collect_metrics()
            monitor.clear_metrics()
        except Exception as error:
            # No gauge is worth a trial; what it printed says what was not read.
            print(f"not watched by {kind.__name__}: {error}")
        else:
            found.append(monitor)
    return found
