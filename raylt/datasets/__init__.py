"""One file, one dataset: its `Config`, the constants `CHANNELS`, `SIZE`, `CLASSES`, and `load`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raylt import plugins
from raylt.data import archive, indices
from raylt.data.images import Splits
from raylt.data.longtail import Listed, LongTailed
from raylt.data.own import OwnImages
from raylt.data.reading.paths import below
from raylt.schema import DatasetConfig, InputError


def load(config: DatasetConfig, root: Path) -> Splits:
    """The parts of the dataset that `config` names; its files lie under `root`.

    Raises:
        InputError: there is no such dataset, or the tail asked for cannot be cut from it.
        EnvironmentError: its files are missing or damaged and cannot be fetched.
    """
    if isinstance(config, LongTailed):
        # A wrong file is told before the images are read, which may take minutes.
        for key, name in config.index_files().items():
            indices.read(below(root, name, key), key=key)
    return plugins.module("datasets", config.name).load(config, root)


def divided(config: DatasetConfig, root: Path, broken: Sequence[str] = ()) -> Splits | None:
    """The parts of a user's own images as files, of which none is opened; None for others.

    Args:
        broken: The names of those that cannot be read.

    Raises:
        InputError: images or lists are missing, or the images cannot be divided as asked.
        EnvironmentError: a file or folder is missing or cannot be read.
    """
    if config.name not in plugins.names("datasets"):
        return None  # What a module of the user's own needs is only known to its `load`.
    # Pillow is only imported where images are read.
    from raylt.datasets import _listed, _own

    module = plugins.module("datasets", config.name)
    if isinstance(config, OwnImages):
        return _own.divided(config, module.collection(config, root), root, broken)
    if isinstance(config, Listed):
        _listed.require_lists(config, root)
    elif hasattr(module, "ARCHIVE"):
        archive.require(module.ARCHIVE, root)
    return None


def fetch(name: str, root: Path, *, source: str | None, progress: archive.Progress) -> Path:
    """Bring the published files of a dataset below `root` and return their folder; other arguments
    as of `raylt.data.archive.fetch`.

    Raises:
        InputError: there is no such dataset, or its files cannot be fetched by a program.
        EnvironmentError: the network or the disk does not give what is needed.
    """
    module = plugins.module("datasets", name)
    if not hasattr(module, "ARCHIVE"):
        raise InputError(
            f"{name} cannot be downloaded, for it has no public address; "
            f"raylt/datasets/{name}.py says where its images come from"
        )
    return archive.fetch(module.ARCHIVE, root, source=source, progress=progress)
