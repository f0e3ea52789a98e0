"""The space of a small recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raylt import recipe, space
from raylt.space import Space
from raylt.space.file import document

RECIPE: dict[str, Any] = {
    "data": {"name": "digits"},
    "method": {"name": "sdclr"},
    "encoder": "small",
    "optimizer": {"lr": 0.1, "batch_size": 64},
    "epochs": 6,
}


def loaded(
    tmp_path: Path, study: Mapping[str, Any], changes: Mapping[str, Any], *words: str
) -> Space:
    """The space of a small recipe with some leaves replaced."""
    (tmp_path / "space.yaml").write_text(text(study, changes), "utf-8")
    return space.load(tmp_path / "space.yaml", words)


def text(study: Mapping[str, Any], changes: Mapping[str, Any]) -> str:
    values = {"study": {"name": "a", **study}, "recipe": recipe.filled(RECIPE, changes)}
    return document.dump(values)
