"""A quick look at the images of a space: whether they are there and how many, and whether parts
share a picture; none is decoded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raylt import datasets, recipe, threads
from raylt.data.own import OwnImages
from raylt.schema import InputError, RayltError
from raylt.space import Space, metrics_check
from raylt.study.record import text

_PATIENCE = 1.5
"""Seconds that it may take."""
_NONE_DECODED = "what is in the files, of which none was decoded: a broken one still counts"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    counts: Mapping[str, Sequence[int]]
    """Images of each class by part; empty where they are not known."""
    unseen: str
    """What was not looked at, in words."""
    names: Sequence[str] = ()
    """The name of each class; empty where they are not known."""
    copies: str = ""
    """Which pictures are in several parts, in words."""

    def lines(self) -> list[str]:
        """The same for people."""
        parts = ", ".join(f"{part} {sum(sizes)}" for part, sizes in self.counts.items())
        return [
            *([f"images     {parts}"] if parts else []),
            *([f"           not looked at: {self.unseen}"] if self.unseen else []),
            *text.unseen_classes(self.counts, self.names),
            *([f"warning: {self.copies}"] if self.copies else []),
        ]


ELSEWHERE = Look({}, "the images, which are on the cluster")


def look(space: Space, root: Path, *, patience: float = _PATIENCE) -> Look:
    """Look for the images of a space.

    Raises:
        InputError: a user's own images are missing or cannot be divided, or have no class of a
            group that the study looks at.
        EnvironmentError: some of them cannot be found.
    """
    config: Any = recipe.dataset(space.fixed)
    counts: Mapping[str, Sequence[int]] = {}
    if (train := config.train_counts()) is not None:
        counts = {"train": train, "validation": [getattr(config, "validation", 0)] * len(train)}
    deadline = time.monotonic() + patience
    files = threads.in_background(lambda: datasets.divided(config, root))
    try:
        divided = files.result(patience)
    except TimeoutError:
        return Look(counts, f"the images, for it takes more than {patience:g} s to find them all")
    except RayltError as error:
        if isinstance(config, OwnImages):
            raise
        # A published dataset may be fetched between the check and the search.
        return Look(counts, f"the images, which are not here yet: {error}")
    if divided is None:
        return Look(counts, "")
    counts = divided.counts
    for key, metric in metrics_check.metrics_of(space.study):
        if reason := metrics_check.no_classes(metric, counts["train"]):
            raise InputError(f"{space.source}: {key}: {reason}")

    def compare() -> str:
        # Pillow is only imported where there are images.
        from raylt.data.reading import copies

        return copies.sentence(divided)

    shared = threads.in_background(compare)
    try:
        in_several = shared.result(deadline - time.monotonic())
        return Look(counts, _NONE_DECODED, divided.names, in_several)
    except TimeoutError:
        return Look(counts, f"{_NONE_DECODED}, and whether parts share a picture", divided.names)
