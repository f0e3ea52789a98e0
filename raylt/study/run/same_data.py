"""The images of a study stay those that it began with: scores of other ones cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylt import recipe
from raylt.schema import InputError
from raylt.study.record import provenance, storage
from raylt.study.record.record import Record
from raylt.study.record.text import class_names

if TYPE_CHECKING:
    from raylt.data.images import Splits

_NAMED = 5
"""Classes that are named at most."""


def require_here(record: Record, root: Path) -> Splits:
    """The images of a study, refused where they have changed.

    Raises:
        InputError: they have changed, or cannot be divided any more.
        EnvironmentError: they are missing or damaged.
    """
    from raylt import datasets

    splits = datasets.load(recipe.dataset(record.space.fixed), root)
    require(record, splits)
    return splits


def require(record: Record, splits: Splits) -> None:
    """Refuse images that are not those of a study."""
    before, now = record.facts["fingerprint"], splits.fingerprint
    if before == now:
        return
    again = provenance.command(
        record,
        "tune",
        "--space",
        str(record.folder / "space.yaml"),
        "--study",
        storage.free_name(record.name, record.folder.parent, record.url),
    )
    raise InputError(
        f"{record.name}: the images must be those that it began with, but "
        f"{_changes(record.facts.get('data', {}), splits.facts)} (fingerprint {before}, now "
        f"{now}); put them back, or begin another study: `{again}`"
    )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What has changed, by part and by class, in words."""
    if "counts" not in before:
        return "they have changed"
    old, new = _by_class(before), _by_class(now)
    changed = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
    if not changed:
        return "some are others, though each class has as many as before"
    parts = [
        f"{part} has {sum(now['counts'][part])} images instead of {sum(counts)}"
        for part, counts in before["counts"].items()
        if sum(counts) != sum(now["counts"][part])
    ]
    classes = [_change(name, old.get(name), new.get(name)) for name in changed[:_NAMED]]
    more = [f"{len(changed) - _NAMED} more classes"] if len(changed) > _NAMED else []
    return ", ".join([*parts, *classes, *more])


def _by_class(facts: Mapping[str, Any]) -> dict[str, int]:
    """Images of each class over all parts."""
    counts = [sum(of_class) for of_class in zip(*facts["counts"].values(), strict=True)]
    return dict(zip(class_names({"data": facts}, len(counts)), counts, strict=True))


def _change(name: str, before: int | None, now: int | None) -> str:
    if before is None:
        return f"class {name!r} is new"
    if now is None:
        return f"class {name!r} is gone"
    return f"class {name!r} has {abs(now - before)} {'more' if now > before else 'fewer'}"
