"""Whether what was learned beats the raw pixels, and what to try where it does not."""

from __future__ import annotations

from collections.abc import Mapping

from raylt.study.record.outcome import Outcome
from raylt.study.record.text import percent

_CLASSIFIERS = {"neighbour": "the nearest neighbour", "logistic": "a logistic regression"}
"""The classifiers of raw pixels, in words."""


def levels(floor: Mapping[str, float], metric: str) -> dict[str, float]:
    """What each classifier of raw pixels reaches in a metric of validation; empty for a metric
    that raw pixels have not.

    Args:
        floor: The fact `floor` of a study, by keys like `floor/logistic/many`.
    """
    group = metric.removeprefix("val/").removeprefix("best/")
    named = (key.split("/", 2)[1:] for key in floor)
    return {name: floor[f"floor/{name}/{g}"] for name, g in named if g == group}


def lines(floor: Mapping[str, float]) -> list[str]:
    """What raw pixels reach, a line for each classifier."""
    classifiers: dict[str, list[str]] = {}
    for key, value in floor.items():
        _, classifier, group = key.split("/", 2)
        classifiers.setdefault(classifier, []).append(f"{group} {percent(value)}")
    return [
        f"Floor (raw pixels, {name}): {', '.join(groups)}" for name, groups in classifiers.items()
    ]


def unbeaten(
    floor: Mapping[str, float], metric: str, best: Outcome | None, *, searched: bool
) -> str:
    """That the best trial does not beat raw pixels, and what to try; "" where it does, or where
    nobody knows.

    Args:
        floor: The fact `floor` of a study.
        metric: The objective; where raw pixels have none of it, the accuracy is compared.
        searched: Whether there are others; else it is the only training.
    """
    metric = metric if levels(floor, metric) else "val/accuracy"
    known = levels(floor, metric)
    if best is None or metric not in best.last or not known:
        return ""
    classifier, level = max(known.items(), key=lambda entry: entry[1])
    reached, name = best.last[metric], metric.removeprefix("val/")
    if reached > level:
        return ""
    if level == 1:
        return (
            f"{_CLASSIFIERS[classifier].capitalize()} on the raw pixels reaches {name} 100 "
            f"already, which no model can beat: these images are too easy to tell settings apart"
        )
    epochs = best.recipe.get("epochs")
    longer = f"more epochs (epochs={2 * epochs} instead of {epochs})" if epochs else "more epochs"
    images = " on the validation images" if name != metric else ""
    unbeaten = "The model does not beat the raw pixels: it reaches"
    if searched:
        unbeaten = "No trial beats the raw pixels: the best reaches"
    return (
        f"{unbeaten} {name} {percent(reached)}{images}, "
        f"{_CLASSIFIERS[classifier]} on the pixels {percent(level)}. Try {longer}, or "
        f"an augmentation that leaves what tells the classes apart as it is"
    )
