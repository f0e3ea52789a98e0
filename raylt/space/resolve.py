"""What becomes of a space file before it is kept with a study: the command line overrules parts of
it, defaults are written out, and its known settings become points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from raylt import plugins
from raylt.data.reading.paths import expanded
from raylt.plugins import did_you_mean
from raylt.schema import DatasetConfig, Value
from raylt.space import leaf, strategy
from raylt.space.file.document import COMMAND_LINE, Document, Keys
from raylt.space.file.explain import shown
from raylt.space.leaf import Leaf
from raylt.space.plan import is_file
from raylt.space.recipe_section import Opened
from raylt.space.space import Point, Source, Space
from raylt.space.strategy import FIRST_GRACE, SECTIONS, Scheduler, idle

_BASELINE = ("study", "baseline", "values")


def without_overruled(document: Document, content: Opened) -> tuple[Document, list[str]]:
    """The document without what the command line has made meaningless in it: values of settings
    that it has fixed, keys of a sampler or scheduler that it has exchanged."""
    document, lines = _without_idle(document)
    paths = [open_leaf.path for open_leaf in content.leaves]
    for keys, values in _settings(document):
        differences: list[str] = []
        for path in values if isinstance(values, dict) else ():
            place = document.place(("recipe", *path.split(".")))
            if place != COMMAND_LINE or path in paths or path not in content.known:
                continue
            given, stated = shown(content.known[path]), shown(values[path])
            if values[path] != content.known[path]:
                differences.append(f"{path} {given} for {stated}")
                # Where nothing is left open, one model is trained, and compared with none.
                if content.leaves:
                    setting = ".".join(map(str, keys))
                    lines.append(f"{place}: {path}: {given} overrules {stated} of {setting}")
            document = document.remove((*keys, path))
        if differences and keys == _BASELINE:
            document = _with_other_baseline(document, differences, alone=not content.leaves)
    return document, lines


def _with_other_baseline(
    document: Document, differences: Sequence[str], *, alone: bool
) -> Document:
    """The document whose baseline is no longer what its source states: its source says so, or it
    goes where nothing is left open, since the one run is another setting."""
    if alone:
        return document.remove(_BASELINE[:-1])
    source = document.values["study"]["baseline"].get("source")
    if not isinstance(source, str):
        return document  # refused with the rest of the study
    keys = (*_BASELINE[:-1], "source")
    return document.put(keys, f"{source}; but {', '.join(differences)}")


def _without_idle(document: Document) -> tuple[Document, list[str]]:
    lines: list[str] = []
    for section in SECTIONS:
        values = document.values["study"].get(section)
        keys: Keys = ("study", section)
        if not isinstance(values, dict) or document.place((*keys, "name")) != COMMAND_LINE:
            continue
        useless = [
            key
            for key in idle(section, str(values.get("name")))
            if key in values and document.place((*keys, key)) != COMMAND_LINE
        ]
        for key in useless:
            document = document.remove((*keys, key))
        if useless:
            lines.append(
                f"{COMMAND_LINE}: study.{section}.name: {values['name']} has no use for the "
                f"file's {' and '.join(f'study.{section}.{key}' for key in useless)}"
            )
    return document, lines


def with_grace(document: Document, space: Space) -> tuple[Document, Space]:
    """A space whose scheduler has a grace where it needs one; it is kept with the study, so that
    another default of a later version does not change what has begun."""
    scheduler = space.study.scheduler
    if not space.study.stops_early or not space.leaves or scheduler.grace is not None:
        return document, space
    grace = strategy.grace(scheduler, space.longest)
    document = document.put(("study", "scheduler", "grace"), grace)
    scheduler = scheduler.model_copy(update={"grace": grace})
    study = space.study.model_copy(update={"scheduler": scheduler})
    return document, replace(space, study=study)


def with_first_grace(document: Document) -> Document:
    """The document of a study that has begun, with the grace that it began with."""
    study = document.values.get("study")
    scheduler = study.get("scheduler", {}) if isinstance(study, dict) else None
    if not isinstance(scheduler, dict) or "grace" in scheduler:
        return document
    name = str(scheduler.get("name", Scheduler().name))
    if "grace" in idle("scheduler", name):
        return document
    return document.put(("study", "scheduler", "grace"), FIRST_GRACE)


def with_data(document: Document) -> Document:
    """The document of a new space, whose dataset has what it is given where the file is silent.

    Raises:
        InputError: the file has a key of the dataset that would do nothing.
    """
    recipe = document.values["recipe"]
    data: Any = recipe.get("data") if isinstance(recipe, dict) else None
    if not isinstance(data, dict) or data.get("name") not in plugins.names("datasets"):
        return document  # refused with the rest of the recipe
    config = plugins.config("datasets", data["name"])
    assert issubclass(config, DatasetConfig)
    if (idle_key := config.idle(data)) is not None:
        key, reason = idle_key
        raise document.error(("recipe", "data", key), reason)
    for key, value in config.silent(data).items():
        document = document.put(("recipe", "data", key), value)
    return document


def with_settings(document: Document, space: Space) -> Space:
    """The space with its baseline and points, each a point that it admits."""
    points = {
        keys: _setting(document, space, keys, values) for keys, values in _settings(document)
    }
    baseline = points.pop(_BASELINE, None)
    return replace(space, baseline_point=baseline, points=tuple(points.values()))


def sources(document: Document, names: Sequence[str]) -> tuple[Source, ...]:
    """The entries of `study.warm_start`; a file is counted from the folder of the space file, and
    from the working directory where the command line names it."""
    entries: list[Source] = []
    for number, name in enumerate(names):
        keys: Keys = ("study", "warm_start", number)
        place = document.place(keys)
        folder = Path() if place == COMMAND_LINE else Path(place.source).parent
        file = folder / expanded(name) if is_file(name) else None
        entries.append(Source(name, f"{place}: {'.'.join(map(str, keys))}", file))
    return tuple(entries)


def _settings(document: Document) -> Iterator[tuple[Keys, Any]]:
    """Where the known settings stand: the baseline's values and each of the points."""
    study = document.values["study"]
    baseline, points = study.get("baseline"), study.get("points")
    if isinstance(baseline, dict):
        yield _BASELINE, baseline.get("values")
    if isinstance(points, list):
        for i, point in enumerate(points):
            yield ("study", "points", i), point


def _setting(document: Document, space: Space, keys: Keys, values: Mapping[str, Value]) -> Point:
    """The point of a known setting; a leaf that it leaves out keeps the recipe's default."""
    paths = [open_leaf.path for open_leaf in space.leaves]
    for path, value in values.items():
        if path in paths or (path in space.known and space.known[path] == value):
            continue
        if path in space.known:
            raise document.error(
                (*keys, path),
                f"must be {shown(space.known[path])}, as the recipe fixes it, but got "
                f"{shown(value)}; leave it out, or open {path} in the recipe",
            )
        raise document.error(
            (*keys, path),
            f"must be an open leaf, but is unknown{did_you_mean(path, paths)}; open: "
            f"{', '.join(paths)}",
        )

    def choose(open_leaf: Leaf) -> Value:
        if open_leaf.path not in values and open_leaf.path not in space.known:
            raise document.error(
                keys,
                f"must give {open_leaf.path}, which has no default; add `{open_leaf.path}: ...`",
            )
        return values.get(open_leaf.path, space.known.get(open_leaf.path))

    point = leaf.assemble(space.leaves, space.known, choose)
    given = {path: value for path, value in values.items() if path in paths}
    if (refused := space.refusal({**given, **point})) is not None:
        path, reason = refused
        raise document.error(
            (*keys, path) if path else keys,
            f"{reason}; correct it, or change the space to admit it",
        )
    return point
