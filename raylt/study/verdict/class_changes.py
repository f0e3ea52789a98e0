"""What a candidate changed for each class, against the baseline, on the same test images.

Long-tailed methods move accuracy between classes more than they add: this says from where to
where. The intervals are over the test images alone: the same trained models, other images. The
verdict says how far the training seed moves the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylt import metrics
from raylt.study.record.text import points

RESAMPLES = 2000
"""Bootstrap resamples of the test images."""
CONFIDENCE = 0.95
BASIS = (
    "gains and losses of groups and classes are told by 95 % intervals over test images, for the "
    "models as trained and not corrected; bold in a table is a test over seeds"
)
"""What the words for groups and classes rest on."""
_SHOWN = 0.0005
"""Smallest change, as a fraction, that shows up in points with one decimal."""
_GROUPS = ("few", "medium", "many")
_FEWEST = 3
"""Test images of a class that are enough to resample it: one or two are often all alike."""
_NAMED = 5
"""Winners and losers that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far an accuracy moved, as a fraction, with its interval over the test images."""

    mean: float
    low: float
    high: float
    images: int
    """Test images that it stands on."""

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChanges:
    """The changes of one candidate against the baseline."""

    classes: tuple[Change | None, ...]
    """In class order; None for a class without a test image."""
    train_counts: tuple[int, ...]
    """Training images of each class."""
    groups: dict[str, Change]
    """`all`, the shot groups by thresholds, and those by thirds under `thirds/`; an empty group
    is absent. A group counts its classes alike."""
    winners: tuple[int, ...]
    """Classes that surely gained, the most first, five at most."""
    losers: tuple[int, ...]
    """Classes that surely lost, the most first, five at most."""
    sentence: str
    """The shot groups in words, such as "few +3.1 at the cost of many -0.6"."""
    names: tuple[str, ...]
    """The name of each class."""


def compare(
    baseline: NDArray[np.int64],
    candidate: NDArray[np.int64],
    labels: NDArray[np.int64],
    train_counts: Sequence[int],
    names: Sequence[str] = (),
) -> ClassChanges:
    """Compare the predictions of a candidate with those of the baseline.

    Args:
        baseline: Predicted classes, (seeds, images).
        candidate: Predicted classes for the same seeds and images.
        labels: True classes, (images,).
        train_counts: Training images of each class, which the groups are cut by.
        names: The name of each class; their numbers without.

    Raises:
        ValueError: the shapes do not fit.
    """
    if baseline.shape != candidate.shape or baseline.shape[1:] != labels.shape:
        raise ValueError(
            f"predictions must be (seeds, images) with the same seeds for both, but got "
            f"{baseline.shape}, {candidate.shape} and labels {labels.shape}"
        )
    # What a test image contributes, from -1 to 1: the share of seeds in which it was gained.
    gain = (candidate == labels).mean(0) - (baseline == labels).mean(0)
    means, draws = _by_class(gain, labels, len(train_counts))
    images = np.bincount(labels, minlength=len(train_counts))
    classes = tuple(_change([k], means, draws, images) for k in range(len(train_counts)))
    groups: dict[str, Change] = {}
    for name, members in _members(train_counts).items():
        if (change := _change(members, means, draws, images)) is not None:
            groups[name] = change
    sure = sorted((c.mean, k) for k, c in enumerate(classes) if c is not None and c.sure)
    return ClassChanges(
        classes=classes,
        train_counts=tuple(train_counts),
        groups=groups,
        winners=tuple(k for mean, k in reversed(sure) if mean > 0)[:_NAMED],
        losers=tuple(k for mean, k in sure if mean < 0)[:_NAMED],
        sentence=sentence(groups),
        names=tuple(names) or tuple(map(str, range(len(train_counts)))),
    )


def sentence(groups: dict[str, Change]) -> str:
    """Which shot groups gained and which lost; what is within the interval is no gain and no
    loss."""
    moved = [(n, groups[n]) for n in _GROUPS if n in groups and abs(groups[n].mean) >= _SHOWN]
    up = ", ".join(_points(n, c) for n, c in moved if c.sure and c.mean > 0)
    down = ", ".join(_points(n, c) for n, c in moved if c.sure and c.mean < 0)
    unsure = ", ".join(_points(n, c) for n, c in moved if not c.sure)
    shown = f"{up} at the cost of {down}" if up and down else up or down
    if not unsure:
        return shown or "no group changed"
    if not shown:
        return f"no gain or loss of a group is shown: {unsure}"
    return f"{shown}; not shown: {unsure}"


def stored_sentence(changes: Mapping[str, Any]) -> str:
    """The sentence of changes that were stored, whichever version stored them."""
    groups = changes.get("groups")
    if not groups:
        return changes["sentence"]
    return sentence({name: Change(**change) for name, change in groups.items()})


def _points(name: str, change: Change) -> str:
    return f"{name} {points(change.mean)}"


def _members(train_counts: Sequence[int]) -> dict[str, Sequence[int]]:
    thirds = metrics.groups(train_counts, by="thirds")
    return {
        "all": range(len(train_counts)),
        **metrics.groups(train_counts, by="thresholds"),
        **{f"thirds/{name}": classes for name, classes in thirds.items()},
    }


def _by_class(
    gain: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each class, (classes,), and its resampled means, (classes, resamples).

    Images are drawn anew within their class, so the classes stay as large as they are.
    """
    rng = np.random.default_rng(0)
    means, draws = np.zeros(classes), np.zeros((classes, RESAMPLES))
    for k in range(classes):
        own = gain[labels == k]
        if len(own):
            # Few seeds make few different values: drawing how often each comes up is the same
            # as drawing the images, and much cheaper.
            values, counts = np.unique(own, return_counts=True)
            times = rng.multinomial(len(own), counts / len(own), size=RESAMPLES)
            means[k], draws[k] = own.mean(), times @ values / len(own)
    return means, draws


def _change(
    members: Sequence[int],
    means: NDArray[np.float64],
    draws: NDArray[np.float64],
    images: NDArray[np.int64],
) -> Change | None:
    """The mean change of some classes; None where none of them has a test image. The interval is
    all that is possible where there are too few images and classes to know it."""
    scored = [k for k in members if images[k]]
    if not scored:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = -1.0, 1.0
    if images[scored].min() >= _FEWEST:
        low, high = np.quantile(draws[scored].mean(0), [tail, 1 - tail])
    elif len(scored) >= _FEWEST:
        # Classes too small to be resampled: they themselves are drawn anew.
        drawn = np.random.default_rng(0).choice(means[scored], (RESAMPLES, len(scored)))
        low, high = np.quantile(drawn.mean(1), [tail, 1 - tail])
    mean, count = means[scored].mean(), images[scored].sum()
    # An end that is 0 but for the last bit of a sum must not leave zero out.
    low, high = round(float(low), 12), round(float(high), 12)
    return Change(mean=float(mean), low=low, high=high, images=int(count))
