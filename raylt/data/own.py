"""What the datasets of a user's own images have in common, apart from where the images are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from raylt.data.longtail import LongTailed
from raylt.data.reading.paths import below

_TAIL = frozenset({"imbalance", "law", "power", "split", "tail_seed", "indices"})


class OwnImages(LongTailed):
    """The settings of images that a user brings: they keep the class sizes that they have, or are
    cut into a long tail."""

    test: int = Field(20, ge=1)
    """Images of each class that are taken as sealed test images, before anything else, where there
    are none of the user's own."""
    validation: int = Field(10, ge=0)
    """Images of each class that are held out for validation, before a tail is cut, where there are
    none of the user's own."""
    natural: bool = False
    """Whether classes keep the sizes they have; else the tail is cut by the law. A new space file
    that names neither this nor anything of the tail gets `true`."""
    resolution: int = Field(32, ge=8)
    """Height and width in pixels at which images are kept and evaluated."""
    keep: Literal["memory", "files"] = "memory"
    """Whether all images are decoded once, at `resolution`, or anew in each epoch from their files
    at their own size, for sets that do not fit."""
    broken: Literal["stop", "skip"] = "stop"
    """What to do about images that cannot be read: name them and stop, or go on without them."""
    workers: int = Field(4, ge=0)
    """Processes that decode images for each worker of a trial."""

    places: ClassVar[str]
    """The key of what the training images are read from; validation_KEY and test_KEY are those of
    other parts, where the user has them."""

    def paths(self, root: Path) -> dict[str, Path]:
        """Where the images of each part are read from, below the data root.

        Raises:
            InputError: a path leads out of the root.
        """
        keys = {part: f"{part}_{self.places}" for part in ("validation", "test")}
        return {
            part: below(root, name, key)
            for part, key in {"train": self.places, **keys}.items()
            if (name := getattr(self, key)) is not None
        }

    def has_validation(self) -> bool:
        """Whether any images are held out, as far as is known without the files."""
        own = getattr(self, f"validation_{self.places}")
        return own is not None or super().has_validation()

    @model_validator(mode="after")
    def _validation_is_used(self) -> Self:
        key = f"validation_{self.places}"
        if self.validation == 0 and getattr(self, key) is not None:
            raise ValueError(
                f"data.validation must be at least 1 beside data.{key}, never trained on, "
                "but got 0; leave it out"
            )
        return self

    def counts_of(self, available: tuple[int, ...]) -> tuple[int, ...]:
        """Training images of each class, where `available` are at hand, in class order."""
        return available if self.natural else super().counts_of(available)

    @classmethod
    def silent(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """A tail is cut where a space asks for it: by `natural: false` or by a key of the tail."""
        asked = "natural" in values or _TAIL & set(values)
        return {} if asked else {"natural": True}

    @classmethod
    def idle(cls, values: Mapping[str, Any]) -> tuple[str, str] | None:
        """A tail beside `natural: true` would be cut by nobody."""
        tail = sorted(_TAIL & set(values))
        if not tail or values.get("natural") is not True:
            return None
        return tail[0], "does nothing beside natural: true; set that to false, or remove this"
