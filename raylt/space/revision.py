"""What differs between two spaces, and whether trials of the one keep their meaning in the other.

They do where ranges were widened, choices added, or only the way of searching was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from raylt.space import Space
from raylt.space.file.explain import shown
from raylt.space.leaf import Leaf, is_whole

FREE = (
    "trials",
    "baseline",
    "sampler",
    "scheduler",
    "budget",
    "confirm",
    "checkpoints",
    "versus",
    "preset",
    "presets",
)
"""Parts of `study` that say how to search and not what a result means; the values of a preset
stand in the recipe too, and another baseline is one more trial."""


FIXED = "it is the same in all trials, and decides what their results mean"
"""Why a value that no leaf leaves open must stay."""


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf, or one part of the study, that differs."""

    path: str
    """Dotted path, as in `study.trials`."""
    before: str
    after: str
    refusal: str
    """Why the trials of before would not keep their meaning; "" where they do."""

    def __str__(self) -> str:
        refused = f"   refused: {self.refusal}" if self.refusal else ""
        return f"{self.path}: {self.before} -> {self.after}{refused}"


def changes(old: Space, new: Space) -> tuple[Change, ...]:
    """All differences: of the recipe in the order of the paths, then of the study."""
    return (*_recipe(old, new), *_study(old, new))


def _recipe(old: Space, new: Space) -> Iterator[Change]:
    olds, news = _entries(old), _entries(new)
    grid = "grid" in (old.study.sampler.name, new.study.sampler.name)
    for path in sorted({*olds, *news}):
        before, after = olds.get(path), news.get(path)
        if before == after:
            continue
        if isinstance(before, Leaf) and isinstance(after, Leaf):
            refusal = _refusal(before, after)
            if not refusal and grid:
                refusal = "a grid is laid out when a study begins"
        elif isinstance(before, Leaf) or isinstance(after, Leaf):
            refusal = "a leaf must not be opened or closed"
        else:
            refusal = FIXED
        yield Change(path, _shown(before), _shown(after), refusal)


def _entries(space: Space) -> dict[str, Any]:
    """Every leaf of the recipe by its path: a `Leaf` where it is open, else its value."""
    closed = {**dict(_flat(space.fixed, "")), **space.known}
    return {**closed, **{leaf.path: leaf for leaf in space.leaves}}


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _refusal(old: Leaf, new: Leaf) -> str:
    """Why a leaf cannot take every value of before, or draws it differently; "" where it can."""
    if _condition(old) != _condition(new):
        return "its `when` must stay"
    if (old.choices is None) != (new.choices is None):
        return "a range and a list of choices are drawn differently"
    if old.choices is not None:
        missing = [choice for choice in old.choices if not new.admits(choice)]
        return f"{', '.join(map(shown, missing))} must stay a choice" if missing else ""
    if (old.integer, old.log, old.complement) != (new.integer, new.log, new.complement):
        return "whole numbers, real numbers and a log scale are drawn differently"
    (old_low, old_high), (new_low, new_high) = old.bounds, new.bounds
    if new_low > old_low or new_high < old_high:
        return "a range must not get narrower"
    return "" if _on_the_grid(old, new) else "every step of before must stay one"


def _on_the_grid(old: Leaf, new: Leaf) -> bool:
    """Whether the values of one range are among the steps of another that contains it."""
    whole = 1 if old.integer else None
    coarse, fine = old.step or whole, new.step or whole
    if fine is None:
        return True
    if coarse is None:
        return False
    return is_whole(coarse / fine) and is_whole((old.bounds[0] - new.bounds[0]) / fine)


def _condition(leaf: Leaf) -> str:
    return "" if leaf.when is None else leaf.when.text


def _study(old: Space, new: Space) -> Iterator[Change]:
    before, after = (space.study.model_dump(mode="json") for space in (old, new))
    names = {old.study.sampler.name, new.study.sampler.name}
    olds, news = dict(_flat(before, "")), dict(_flat(after, ""))
    for path in dict.fromkeys([*olds, *news]):
        value, other = olds.get(path), news.get(path)
        if value == other:
            continue
        key = path.partition(".")[0]
        refusal = "" if key in FREE else "it decides what the results of the trials mean"
        if key == "sampler" and "grid" in names and len(names) > 1:
            refusal = "a grid is laid out when a study begins"
        if key.startswith("warm_"):
            refusal = "the settings of other studies are queued when a study begins"
        yield Change(f"study.{path}", _shown(value), _shown(other), refusal)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Leaf):
        when = f" when {value.when.text}" if value.when is not None else ""
        return f"{value}{when}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        given = {key: inner for key, inner in value.items() if inner is not None}
        return f"{{{', '.join(f'{key}: {_shown(inner)}' for key, inner in given.items())}}}"
    return shown(value)
