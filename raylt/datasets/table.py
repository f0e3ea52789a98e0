"""Your own images: a table or lists name them, taken as they are or made long-tailed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from raylt.data.images import Splits
from raylt.data.own import OwnImages
from raylt.data.reading import table
from raylt.data.reading.collection import Collection
from raylt.data.reading.paths import below
from raylt.data.reading.rows import Columns
from raylt.datasets import _own

CHANNELS = 3
SIZE = None
CLASSES = None


class Config(OwnImages):
    """Images that a CSV or TSV with `path,label[,split]` names, or a list with `path label`.

    Labels are names or whole numbers; names stand in the order of Python's `sorted`, numbers in
    that of their values. A split is train, val or test.
    """

    name: Literal["table"] = "table"
    """The dataset."""
    table: str
    """The table or list, below the data root; its splits divide it."""
    validation_table: str | None = None
    """Another one of validation images."""
    test_table: str | None = None
    """Another one of the sealed test images."""
    images: str = "."
    """Folder that the paths start from, below the data root."""
    path_column: str | None = None
    """The column of the paths; without it one that is called path, file, image or so."""
    label_column: str | None = None
    """The column of the labels; without it one that is called label, class, category or so."""
    split_column: str | None = None
    """The column of the splits; without it one that is called split, set or so."""

    places: ClassVar[str] = "table"


def load(config: Config, root: Path) -> Splits:
    """The parts of the table; see `raylt.data.reading.table` and `raylt.datasets._own.load`."""
    return _own.load(config, collection(config, root), root)


def collection(config: Config, root: Path) -> Collection:
    """The images, listed and not yet opened."""
    columns = Columns(config.path_column, config.label_column, config.split_column)
    images = below(root, config.images, "images")
    return table.collection(config.paths(root), images, columns)
