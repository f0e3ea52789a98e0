"""The baseline of a space that names none: the published setting of its method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from raylt import plugins
from raylt.schema import Published, Value
from raylt.space import leaf
from raylt.space.file.document import Document
from raylt.space.file.explain import shown
from raylt.space.leaf import Leaf
from raylt.space.plan import Baseline
from raylt.space.space import Point, Space

WORD = "published"
"""What `study.baseline` may be to ask for the published setting, also of a study that has begun
without a baseline."""
_KEYS = ("study", "baseline")


def requested(document: Document, *, begun: bool) -> tuple[Document, bool]:
    """The document without the word, and whether its baseline is the published setting."""
    named = document.values["study"].get("baseline")
    if named == WORD:
        return document.remove(_KEYS), True
    return document, named is None and not begun


def with_published(document: Document, space: Space, allowed: Point) -> tuple[Document, Space]:
    """A space with the published setting of its method as its baseline.

    It is kept with the study, so that other values in a later version change no study that has
    begun. Leaves that the space fixes stay as they are.

    Args:
        allowed: A point that the space admits, for a space that refuses the published one.
    """
    if not space.leaves:
        return document, space
    method = str(space.known["method.name"])
    stated = published(method)
    wanted = {open_leaf.path: _wanted(open_leaf, space, stated) for open_leaf in space.leaves}
    point = _nearest_admitted(space, wanted, allowed)
    source = "; ".join(
        [f"the published values of {method}: {stated.source}", *_differences(space, point, stated)]
    )
    baseline = Baseline(source=source, values=dict(point))
    document = document.put(_KEYS, baseline.model_dump(mode="json"))
    study = space.study.model_copy(update={"baseline": baseline})
    return document, replace(space, study=study)


def published(method: str) -> Published:
    """The setting that a method was published with, as its file states it."""
    try:
        return plugins.declared("methods", method, "PUBLISHED")
    except AttributeError:
        # A method of one's own need not have been published.
        return Published(source="its file states none, so the defaults", values={})


def _wanted(open_leaf: Leaf, space: Space, stated: Published) -> Value:
    """The published value of a leaf, or else the recipe's default, or else its middle."""
    known = {**space.known, **stated.values}
    if open_leaf.path in known:
        return nearest(open_leaf, known[open_leaf.path])
    return nearest(open_leaf, _middle(open_leaf))


def nearest(open_leaf: Leaf, value: Value) -> Value:
    """The value that a leaf admits and that is nearest to another one; a choice that is no number
    has no neighbours, and the first one stands for it."""
    if open_leaf.admits(value):
        return int(value) if open_leaf.integer and isinstance(value, float) else value
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if open_leaf.choices is not None:
        numbers = [choice for choice in open_leaf.choices if isinstance(choice, int | float)]
        if number is None or len(numbers) < len(open_leaf.choices):
            return open_leaf.choices[0]
        return min(numbers, key=lambda choice: abs(choice - number))
    low, high = open_leaf.bounds
    number = min(high, max(low, low if number is None else number))
    step = open_leaf.step or (1 if open_leaf.integer else None)
    if step is not None:
        # 0.1 + 2 * 0.1 is meant to be 0.3.
        number = min(high, round(low + round((number - low) / step) * step, 12))
    return int(number) if open_leaf.integer else number


def _middle(open_leaf: Leaf) -> Value:
    if open_leaf.choices is not None:
        return open_leaf.choices[0]
    low, high = open_leaf.bounds
    if open_leaf.complement:
        return 1 - math.sqrt((1 - low) * (1 - high))
    # Two digits say where the middle of a range over decades is.
    return float(f"{math.sqrt(low * high):.2g}") if open_leaf.log else (low + high) / 2


def _nearest_admitted(space: Space, wanted: Mapping[str, Value], allowed: Point) -> Point:
    """The wanted point, or where `require` refuses it a point that has as much of it as it can."""

    def at(values: Mapping[str, Value]) -> Point:
        def choose(open_leaf: Leaf) -> Value:
            return values.get(open_leaf.path, wanted[open_leaf.path])

        return leaf.assemble(space.leaves, space.known, choose)

    whole = at(wanted)
    if space.refusal(whole) is None:
        return whole
    point = dict(allowed)
    for path, value in wanted.items():
        closer = at({**point, path: value})
        if space.refusal(closer) is None:
            point = closer
    return point


def _differences(space: Space, point: Point, stated: Published) -> list[str]:
    """Where a point of the space is not the published setting."""
    whole = {**space.known, **point}
    moved = [
        f"{path} {shown(whole[path])} for {shown(value)}"
        for path, value in stated.values.items()
        if path in whole and whole[path] != value
    ]
    unpublished = [
        f"{path} {shown(value)}"
        for path, value in point.items()
        if path not in stated.values and path not in space.known
    ]
    return [
        *([f"nearest in this space {', '.join(moved)}"] if moved else []),
        *([f"none is published for {', '.join(unpublished)}"] if unpublished else []),
    ]
