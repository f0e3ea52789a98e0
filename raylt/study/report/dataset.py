"""What a study sees of its dataset: how large its parts and classes are, in words and a chart."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from raylt import datasets, metrics, recipe
from raylt.data.images import Splits
from raylt.schema import EnvironmentError
from raylt.space import Space

_WIDE = 88
_LISTED = 200
"""Classes up to which every count is told in words."""
_PARTS = {
    "train": "the long-tailed training set",
    "balanced": "labels of a full-shot probe",
    "few_shot": "labels of a few-shot probe",
    "validation": "what a search is judged by",
    "test": "sealed until `raylt confirm`",
}


def facts(space: Space, root: Path) -> dict[str, Any]:
    """The dataset of a space as plain values.

    Args:
        space: Its `data` section says how the dataset is cut.
        root: Folder of the datasets.

    Raises:
        InputError: the tail asked for cannot be cut from the dataset.
        EnvironmentError: its files are missing or damaged.
    """
    config = recipe.dataset(space.fixed)
    splits = datasets.load(config, root)
    counts = splits.train_counts
    return {
        "space": space.source,
        "data": config.model_dump(mode="json"),
        "fingerprint": splits.fingerprint,
        "parts": {name: len(getattr(splits, name)) for name in _PARTS},
        "classes": splits.classes,
        "imbalance": max(counts) / min(counts),
        "train_counts": list(counts),
        "validation_counts": _validation_counts(splits),
        "groups": {by: _groups(splits, by) for by in ("thresholds", "thirds")},
    }


def text(found: Mapping[str, Any]) -> str:
    """The same for people."""
    counts, parts = found["train_counts"], found["parts"]
    lines = [
        f"{found['data']['name']} as {found['space']} asks for it",
        "",
        f"fingerprint  {found['fingerprint']}; studies with the same one saw the same images",
        f"classes      {found['classes']}, {max(counts)} ... {min(counts)} training images, "
        f"imbalance {found['imbalance']:.4g}",
        "",
        *_columns([("part", "images", ""), *((n, str(parts[n]), _PARTS[n]) for n in _PARTS)]),
        "",
    ]
    rows: list[tuple[str, ...]] = [("group", "classes", "training images", "validation images")]
    for by, prefix in (("thresholds", ""), ("thirds", "thirds/")):
        for name, one in found["groups"][by].items():
            rows.append((prefix + name, *(str(one[key]) for key in _OF_A_GROUP)))
    return "\n".join([*lines, *_columns(rows), "", *_counts(counts)])


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write the bar chart of the training images of each class as a PNG file.

    Raises:
        EnvironmentError: the file cannot be written.
    """
    # They import matplotlib, which nobody needs whose dataset is not there.
    from raylt.study.report.charts import classes, png

    chart = classes.histogram(found["train_counts"])
    try:
        path.write_bytes(png.png(chart))
    except OSError as error:
        raise EnvironmentError(
            f"the chart must be written to {path}, but {error.strerror or error}; name another "
            f"file by --out"
        ) from error


_OF_A_GROUP = ("classes", "train", "validation")


def _groups(splits: Splits, by: Literal["thresholds", "thirds"]) -> dict[str, dict[str, int]]:
    train, validation = splits.train_counts, _validation_counts(splits)
    return {
        name: {
            "classes": len(members),
            "train": sum(train[k] for k in members),
            "validation": sum(validation[k] for k in members),
        }
        for name, members in metrics.groups(train, by=by).items()
    }


def _validation_counts(splits: Splits) -> list[int]:
    return np.bincount(splits.validation.labels, minlength=splits.classes).tolist()


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows under each other: numbers to the right, words to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if rows[1][i].isdecimal() else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _counts(counts: Sequence[int]) -> list[str]:
    if len(counts) <= _LISTED:
        told = f"training images of class 0, 1, ...: {', '.join(map(str, counts))}"
    else:
        largest = sorted(counts, reverse=True)
        told = (
            f"training images, largest class first: {', '.join(map(str, largest[:20]))}, ... "
            f"{', '.join(map(str, largest[-20:]))}; --json has all of them in class order"
        )
    return textwrap.wrap(told, _WIDE, subsequent_indent="  ")
