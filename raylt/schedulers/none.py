"""No scheduler: every trial runs to its end."""

from __future__ import annotations

from typing import Any, Literal

from raylt.schedulers._base import Queue
from raylt.schema import SchedulerConfig


class Config(SchedulerConfig):
    """Nothing to choose."""

    name: Literal["none"] = "none"
    """The scheduler."""


def build(config: Config, **options: Any) -> Queue:
    """First come, first served."""
    return Queue()
