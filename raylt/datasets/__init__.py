"""One file, one dataset: its `Config`, the constants `CHANNELS`, `SIZE`, `CLASSES`, and `load`."""

from __future__ import annotations

from pathlib import Path

from raylt import plugins
from raylt.data.images import Splits
from raylt.schema import DatasetConfig


def load(config: DatasetConfig, root: Path) -> Splits:
    """The parts of the dataset that `config` names; its files lie under `root`.

    Raises:
        InputError: there is no such dataset, or the tail asked for cannot be cut from it.
        EnvironmentError: its files are missing or damaged and cannot be fetched.
    """
    return plugins.module("datasets", config.name).load(config, root)
