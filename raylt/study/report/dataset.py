"""What a study sees of its dataset: how large its parts and classes are, in words and a chart."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from raylt import datasets, metrics, recipe
from raylt.data.images import Splits
from raylt.data.reading.paths import shown
from raylt.escape import text_table
from raylt.schema import EnvironmentError
from raylt.space import Space
from raylt.study.record.text import unseen_classes

_WIDTH = 88
_LISTED = 200
"""Classes up to which every count is written out."""
_PARTS = {
    "train": "the long-tailed training set",
    "balanced": "labels of a full-shot probe",
    "few_shot": "labels of a few-shot probe",
    "validation": "what a search is judged by",
    "test": "sealed until `raylt confirm`",
}


def facts(space: Space, root: Path) -> dict[str, Any]:
    """The dataset of a space as plain values.

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
        "names": [*map(shown, splits.names)],
        "imbalance": max(counts) / min(counts),
        "broken": [*map(shown, splits.broken)],
        "left_out": dict(splits.left_out),
        "train_counts": list(counts),
        "validation_counts": _validation_counts(splits),
        "groups": {by: _groups(splits, by) for by in ("thresholds", "thirds")},
    }


def text(values: Mapping[str, Any]) -> str:
    """The facts of a dataset for people."""
    counts, parts = values["train_counts"], values["parts"]
    groups = [
        (prefix + name, *map(str, group.values()))
        for by, prefix in (("thresholds", ""), ("thirds", "thirds/"))
        for name, group in values["groups"][by].items()
    ]
    part_rows = [(name, str(parts[name]), meaning) for name, meaning in _PARTS.items()]
    heads = ("group", "classes", "training images", "validation images")
    return "\n".join(
        [
            f"{values['data']['name']} as {values['space']} asks for it",
            "",
            f"fingerprint  {values['fingerprint']}; studies with the same one saw the same images",
            f"classes      {values['classes']}, {max(counts)} ... {min(counts)} training images, "
            f"imbalance {_imbalance(values)}",
            "",
            *text_table([("part", "images", ""), *part_rows], right=(1,)),
            "",
            *text_table([heads, *groups], right=(1, 2, 3)),
            "",
            *_counts(counts, values["names"]),
            *_left_out(values),
            *unseen_classes({"validation": values["validation_counts"]}, values["names"]),
        ]
    )


def draw(values: Mapping[str, Any], path: Path) -> None:
    """Write the bar chart of the training images of each class as a PNG file.

    Raises:
        EnvironmentError: the file cannot be written.
    """
    # Imports matplotlib, which is not needed where the dataset is missing.
    from raylt.study.report.charts import classes, png

    chart = classes.histogram(values["train_counts"], values["names"])
    try:
        path.write_bytes(png.png(chart))
    except OSError as error:
        raise EnvironmentError(
            f"the chart must be written to {path}, but {error.strerror or error}; name another "
            f"file with --out"
        ) from error


def _imbalance(values: Mapping[str, Any]) -> str:
    """The largest class over the smallest, and what the tail was asked to have: class sizes are
    whole numbers, so that both seldom agree."""
    counted, asked = f"{values['imbalance']:.4g}", values["data"].get("imbalance")
    if values["data"].get("natural") or asked is None or f"{asked:.4g}" == counted:
        return counted
    return f"{counted} as counted, for data.imbalance {asked:g}"


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


def _counts(counts: Sequence[int], names: Sequence[str]) -> list[str]:
    named = [f"{name} {count}" for name, count in zip(names, counts, strict=True)]
    if [*names] == [*map(str, range(len(counts)))]:
        named = [*map(str, counts)]
    if len(counts) <= _LISTED:
        of = "class 0, 1, ..." if named[0].isdigit() else "each class"
        sentence = f"training images of {of}: {', '.join(named)}"
    else:
        largest = sorted(range(len(counts)), key=lambda k: -counts[k])
        sentence = (
            f"training images, largest class first: {', '.join(named[k] for k in largest[:20])}, "
            f"... {', '.join(named[k] for k in largest[-20:])}; --json has all of them in class "
            f"order"
        )
    return textwrap.wrap(sentence, _WIDTH, subsequent_indent="  ")


def _left_out(values: Mapping[str, Any]) -> list[str]:
    """What lay among the images and is not among those of any part."""
    lines: list[str] = []
    if broken := values["broken"]:
        lines.append(f"left out since they cannot be read: {len(broken)}, such as {broken[0]}")
    if values["left_out"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in values["left_out"].items())
        lines.append(f"left out since they are no images: {kinds}")
    return ["", *lines] if lines else []
