"""Sweep files of other programs, read as spaces: those of Weights & Biases and of Hydra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raylt import recipe, space
from raylt.plugins import did_you_mean
from raylt.schema import Value
from raylt.space import foreign, leaf
from raylt.space.file import document
from raylt.space.file.document import Document, Keys
from raylt.space.file.explain import shown


def convert(found: Document, base: Document, renamed: Mapping[str, str]) -> str:
    """The text of a space file that searches what a sweep file searches.

    Args:
        found: The sweep file.
        base: A space file; its recipe says everything that the sweep leaves unsaid.
        renamed: Name in the sweep -> path in the recipe, or "" to leave it out. A name that is
            a path, or the last word of one path only, needs no entry.

    Raises:
        InputError: a name or a distribution has no counterpart, or the result is no valid space.
    """
    opened = space.of(base)
    sweep = foreign.read(found)
    paths = recipe.paths(recipe.model_of(opened.fixed))
    named = {
        path: value
        for name, value in sweep.values.items()
        if (path := _path(found, sweep.places[name], name, paths, renamed))
    }
    for each in opened.leaves:
        preset = (opened.baseline_point or {}).get(each.path, opened.known.get(each.path))
        if each.path not in named:
            sweep.notes.append(f"{each.path} is open in {base.source}, here it is {shown(preset)}")
            base = base.put(("recipe", *each.path.split(".")), preset)
    for path, value in named.items():
        base = base.put(("recipe", *path.split(".")), value)
    for key, value in sweep.study.items():
        base = base.put(("study", *key.split(".")), value)
    base = _with_settings(base, named, opened.known, sweep.notes)
    # Conditions of the base may speak of leaves that are now closed: they are checked like any.
    text = document.dump(base.values)
    notes = "".join(f"# {note}\n" for note in sweep.notes)
    result = f"# From {found.source} on the recipe of {base.source}.\n{notes}{text}"
    space.of(document.parse(result, f"{found.source} on {base.source}"))
    return result


def _path(
    found: Document, keys: Keys, name: str, paths: Sequence[str], renamed: Mapping[str, str]
) -> str:
    path = renamed.get(name, name)
    if path in ("", *paths):
        return path
    ends = [each for each in paths if each.rpartition(".")[2] == path.rpartition(".")[2]]
    if len(ends) == 1 and name not in renamed:
        return ends[0]
    near = f"; it may be {' or '.join(ends)}" if ends else did_you_mean(path, paths)
    raise found.error(
        keys,
        f"must be a key of the recipe, but {path!r} is none{near}; say which with --map "
        f"{name}=PATH, or leave it out with --map {name}=",
        name=name,
    )


def _with_settings(
    base: Document, named: Mapping[str, Any], known: Mapping[str, Value], notes: list[str]
) -> Document:
    """The base with a baseline that has a value for each new leaf, or without one."""
    if base.values["study"].get("points"):
        notes.append("study.points is left out; add your own")
        base = base.put(("study", "points"), [])
    if not base.values["study"].get("baseline"):
        return base
    values: dict[str, Any] = {**base.at(("study", "baseline", "values"))}
    for path in named:
        if path in known:
            values.setdefault(path, known[path])
    opened = {k: v for k, v in values.items() if leaf.is_open(base.at(("recipe", *k.split("."))))}
    for path, value in opened.items():
        if not leaf.parse(base, ("recipe", *path.split("."))).admits(value):
            notes.append(
                f"study.baseline is left out, since its {path} of {shown(value)} is not searched; "
                f"add your own"
            )
            return base.remove(("study", "baseline"))
    return base.put(("study", "baseline", "values"), opened)
