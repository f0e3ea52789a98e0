"""Changes: values of a recipe that become others while it runs."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from raylt.schema import Frozen

_SECTIONS = ("method", "optimizer", "schedule", "augment")


class Change(Frozen):
    """Other values from an epoch on."""

    epoch: int = Field(ge=1)
    """Finished epochs after which the values hold."""
    values: dict[str, float] = Field(min_length=1)
    """Dotted path of a real number of the recipe -> its value from here on."""


def changeable(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The dotted path of every leaf of a recipe that may change in mid-run.

    They are the real numbers of the method, the optimizer, the schedule and the augmentation.
    Whole numbers, words and truth values decide shapes or the course of a run; data and evaluation
    decide what its scores mean.
    """
    for key, field in model.model_fields.items():
        if not path and key not in _SECTIONS:
            continue
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from changeable(kind, f"{path}{key}.")
        elif kind is float:
            yield path + key
