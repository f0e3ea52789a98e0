"""Space: a recipe with some leaves left open, and how a study searches them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from raylt import recipe
from raylt.plugins import did_you_mean, outside
from raylt.recipe import Recipe
from raylt.schema import InputError, Value
from raylt.space import baseline, leaf, metrics_check, recipe_section, resolve
from raylt.space.file import bundled, explain, presets, removed
from raylt.space.file import document as documents
from raylt.space.file.document import Document, Keys
from raylt.space.file.explain import shown
from raylt.space.leaf import Leaf
from raylt.space.metric_names import METRICS
from raylt.space.plan import Study
from raylt.space.recipe_section import Opened
from raylt.space.space import DRAWS, Point, Space

__all__ = ["METRICS", "Leaf", "Point", "Space", "load", "of", "stored"]

_TRIED = 200
"""Drawn points whose whole recipe is checked when a space is loaded."""
_COLDEST = 0.01
"""Softmax temperature below which nearly all of a contrast's gradient comes from one pair."""


def load(source: Path | str, overrides: Sequence[str] = ()) -> Space:
    """Read a space file and check all of it, before anything starts.

    Args:
        source: The file, or the name of a bundled one, such as "sdclr"; `-` is the standard input.
        overrides: `key=value` pairs, such as `method.temperature=0.2` or `study.trials=40`; the
            value is in YAML's notation, so `optimizer.lr={low: 0.1, high: 1.0}` opens a leaf.

    Raises:
        InputError: the file or an override breaks a rule; file, line, rule and remedy.
    """
    file = bundled.find(source, "search_spaces")
    document = _overridden(documents.read(file), overrides)
    outside.use(Path() if str(source) == "-" else Path(file).parent)
    return of(document)


def stored(source: Path, overrides: Sequence[str] = (), *, whole_ends: bool = False) -> Space:
    """Read the space of a study that has begun, with the defaults of that time.

    Args:
        overrides: `key=value` pairs that change it, as for `load`.
        whole_ends: Whether it was begun when a range with whole ends drew whole numbers for real
            hyperparameters, too.

    Raises:
        InputError: the file or an override breaks a rule; file, line, rule and remedy.
    """
    document = _overridden(resolve.with_first_grace(documents.read(source)), overrides)
    outside.use(source.parent / outside.FOLDER, kept=True)
    return of(document, begun=True, whole_ends=whole_ends)


def of(document: Document, *, begun: bool = False, whole_ends: bool = False) -> Space:
    """The space that a document describes.

    Args:
        begun: Whether it is that of a study that has begun, which keeps the defaults of its time.
        whole_ends: As for `stored`.

    Raises:
        InputError: the document breaks a rule; file, line, rule and remedy.
    """
    _check_parts(document)
    removed.refuse(document)
    # What stands for values is replaced by them first: the models below read values alone.
    document, published = baseline.requested(document, begun=begun)
    document, kept = presets.applied(document)
    if not begun:
        document = resolve.with_data(document)
    # The recipe comes before the study, whose settings and conditions name its leaves.
    content = recipe_section.read(document, whole_ends=whole_ends)
    document, overruled = resolve.without_overruled(document, content)
    study = explain.check(Study, document, "study")
    paths = {*content.known, *(open_leaf.path for open_leaf in content.leaves)}
    space = Space(
        source=document.source,
        text="",
        digest=_digest(document),
        study=study,
        fixed=content.fixed,
        leaves=content.leaves,
        require=tuple(
            recipe_section.condition(document, ("study", "require", i), text, paths)
            for i, text in enumerate(study.require)
        ),
        known=content.known,
        sources=resolve.sources(document, study.warm_start) if content.leaves else (),
        modules=outside.sources(),
        warnings=(
            *content.warnings,
            *kept,
            *overruled,
            *_cold_temperatures(content),
            *metrics_check.best_epoch_warnings(study),
        ),
    )
    _check_study(document, space)
    # The default of grace depends on the epochs, which may be open.
    document, space = resolve.with_grace(document, space)
    # A condition that fails is told before draws are made by it.
    _check_conditions(document, space)
    allowed, infeasible = _allowed_draws(document, space)
    # Where `require` refuses the published setting, an allowed draw goes as near to it as it may.
    if published:
        document, space = baseline.with_published(document, space, allowed[0])
    space = replace(
        resolve.with_settings(document, space),
        text=documents.dump(document.values),
        infeasible=infeasible,
    )
    _check_recipes(document, space, allowed, content.model)
    return space


def _overridden(document: Document, overrides: Sequence[str]) -> Document:
    for pair in overrides:
        key, equals, text = pair.partition("=")
        where = f"{documents.COMMAND_LINE}: {key or pair!r}"
        if not equals or not key:
            raise InputError(f"{where}: must look like key=value, as in method.temperature=0.2")
        if key[0] in "+~":
            bare = key.lstrip("+~")
            raise InputError(f"{where}: must not begin with {key[0]}; write {bare}={text}")
        document = document.put(_override_keys(document, key, where), documents.value(text, where))
    return document


def _override_keys(document: Document, key: str, where: str) -> tuple[str, ...]:
    first, *rest = key.split(".")
    if first == "recipe" and rest:
        raise InputError(f"{where}: must be written without `recipe.`; write {'.'.join(rest)}=...")
    if first == "study":
        return tuple(key.split("."))
    if first not in Recipe.model_fields:
        known = [*Recipe.model_fields, *(f"study.{name}" for name in Study.model_fields)]
        raise InputError(
            f"{where}: must be a key of the recipe or the study, but is unknown"
            f"{_meant(document, key) or '; known: ' + ', '.join(known)}"
        )
    return ("recipe", *key.split("."))


def _meant(document: Document, key: str) -> str:
    """Which key may have been meant: the nearest one, by its whole path or its last part alone;
    of several with that last part the study's."""
    _check_parts(document)
    try:
        model = recipe.model_of(document.values["recipe"])
    except InputError:
        model = Recipe  # Of a method or dataset that nobody knows.
    known = [*explain.paths(Study, "study."), *explain.paths(model)]
    by_end = {path.rpartition(".")[2]: path for path in reversed(known)}
    spellings = by_end | {path: path for path in known}
    close = get_close_matches(key, spellings, n=1)
    return f"; did you mean {spellings[close[0]]!r}?" if close else ""


def _check_parts(document: Document) -> None:
    """Refuse a file that does not consist of the two parts, each a mapping."""
    examples = {
        "study": "{name: my-study}",
        "recipe": "{data: {name: digits}, method: {name: sdclr}, encoder: small, "
        "optimizer: {lr: 0.5, batch_size: 64}, epochs: 10}",
    }
    for key in document.values:
        if key not in examples:
            raise document.error(
                (key,),
                f"must be study or recipe, but is unknown{did_you_mean(key, examples)}; put it "
                f"under one of them",
            )
    for key, example in examples.items():
        if key not in document.values:
            raise document.error((key,), f"must be given, but is missing; add `{key}: {example}`")
        part = document.values[key]
        if not isinstance(part, dict):
            raise document.error(
                (key,), f"must be a mapping, but got {shown(part)}; write `{key}: {example}`"
            )


def _digest(document: Document) -> str:
    """Over all that must stay when a study is resumed: not the trials, sampler and scheduler."""
    study = document.values["study"]
    deciding = [document.values["recipe"], study.get("require"), study.get("objective")]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:16]


def _cold_temperatures(content: Opened) -> Iterator[str]:
    ends = {open_leaf.path: open_leaf.ends for open_leaf in content.leaves}
    for path in (p for p in {**content.known, **ends} if p.endswith(".temperature")):
        for value in ends.get(path, (content.known.get(path),)):
            if isinstance(value, int | float) and value < _COLDEST:
                yield f"{path}: {value} is very small: below {_COLDEST} only one pair counts"


def _check_study(document: Document, space: Space) -> None:
    """Refuse a study that does not fit its recipe."""
    study = space.study
    for i, objective in enumerate(study.objective):
        raw = document.values["study"].get("objective")
        keys: Keys = ("study", "objective", *((i,) if isinstance(raw, list) else ()))
        _check_metric(document, space, keys, objective.metric)
    for i, constraint in enumerate(study.constraints):
        _check_metric(document, space, ("study", "constraints", i, "metric"), constraint.metric)
    if study.sampler.name == "grid":
        for open_leaf in space.leaves:
            endless = open_leaf.log or not open_leaf.integer
            if open_leaf.choices is None and open_leaf.step is None and endless:
                raise document.error(
                    open_leaf.keys,
                    "must have a finite list of values for a grid, but is a range without steps; "
                    "give it `step` or `choices`, or take another study.sampler.name",
                )
    if study.stops_early:
        _check_metric(document, space, ("study", "scheduler", "metric"), study.watched)
    # A single run is never stopped early.
    if not study.stops_early or not space.leaves:
        return
    grace = study.scheduler.grace
    if grace is not None and grace > space.longest:
        raise document.error(
            ("study", "scheduler", "grace"),
            f"must be <= {space.longest}, the epochs of a trial, but got {grace}; lower it, or "
            "stop no trial early, as by study.scheduler.name=none on the command line",
        )


def _check_metric(document: Document, space: Space, keys: Keys, metric: str) -> None:
    if metric.startswith("cost/"):
        first = space.study.objective[0].metric == metric and "objective" in keys
        if "scheduler" in keys or first:
            raise document.error(
                keys,
                f"must not be {metric}, since the trial that learns least would be the best; "
                f"{'put it behind val/accuracy' if first else 'watch val/accuracy'}",
            )
        return
    if metric.startswith("train/"):
        changing = [
            open_leaf.path
            for open_leaf in space.leaves
            if open_leaf.path.startswith(("method.", "optimizer.batch_size"))
        ]
        if changing:
            raise document.error(
                keys,
                f"must not be a loss while {changing[0]} is searched, since losses at different "
                f"settings have different scales, but got {metric}; try val/knn",
            )
        return
    data = recipe.dataset(space.fixed)
    if not data.has_validation():
        raise document.error(
            ("recipe", "data", "validation"),
            f"must be at least 1, since {explain.dotted(keys)} is {metric}, which is measured on "
            f"validation images, but got 0; raise it, or watch train/loss alone",
        )
    counts = data.train_counts()
    if counts is not None and (reason := metrics_check.no_classes(metric, counts)):
        raise document.error(keys, reason)


def _check_conditions(document: Document, space: Space) -> None:
    """Refuse a `when` or `require` that is neither true nor false at one of some draws."""
    rng = random.Random(0)
    for i, open_leaf in enumerate(space.leaves):
        if open_leaf.when is not None:
            part = replace(space, leaves=space.leaves[: i + 1], require=())
            _check_draws(document, (*open_leaf.keys, "when"), part, rng)
    for i, condition in enumerate(space.require):
        part = replace(space, require=(condition,))
        _check_draws(document, ("study", "require", i), part, rng)


def _check_draws(document: Document, keys: Keys, space: Space, rng: random.Random) -> None:
    try:
        for _ in range(_TRIED // 10):
            space.allows(space.draw_any(rng))
    except InputError as error:
        raise document.error(keys, str(error)) from None


def _allowed_draws(document: Document, space: Space) -> tuple[list[Point], float]:
    """Draws that `require` allows, and the share that it refuses."""
    rng = random.Random(0)
    draws = [space.draw_any(rng) for _ in range(DRAWS)] if space.leaves else [{}]
    allowed = [point for point in draws if space.allows(point)]
    if not allowed:
        raise document.error(
            ("study", "require"),
            f"must allow some points, but refuses all of {len(draws)} draws; loosen it or narrow "
            f"the leaves",
        )
    return allowed, 1 - len(allowed) / len(draws)


def _check_recipes(
    document: Document, space: Space, allowed: Sequence[Point], model: type[Recipe]
) -> None:
    """Refuse values that do not go together, at the settings, the corners and some draws."""
    settings = [p for p in (space.baseline_point, *space.points) if p is not None]
    corners = [point for point in _corners(space) if space.allows(point)]
    for point in (*settings, *corners, *allowed[:_TRIED]):
        try:
            model.model_validate(recipe.filled(space.fixed, point))
        except ValidationError as error:
            loc, text = explain.sentences(error, model)[0]
            where = ", ".join(f"{path} = {shown(value)}" for path, value in point.items())
            raise document.error(
                ("recipe", *loc),
                f"{text} (at {where}; `study.require` can exclude it)" if where else text,
            ) from None


def _corners(space: Space) -> Iterator[Point]:
    """For each end of each leaf, a point that has it, with the other leaves at their first end."""

    def at(end: Value, corner: Leaf) -> Point:
        return leaf.assemble(
            space.leaves, space.known, lambda other: end if other is corner else other.ends[0]
        )

    return (at(end, corner) for corner in space.leaves for end in corner.ends)
