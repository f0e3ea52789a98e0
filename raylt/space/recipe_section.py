"""The recipe part of a space file: what it closes, what it leaves open, and each field's rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from raylt import plugins, recipe
from raylt.plugins import did_you_mean
from raylt.recipe import Recipe
from raylt.schema import InputError, Value, Where
from raylt.space import expressions, leaf
from raylt.space.expressions import Expression
from raylt.space.file import explain
from raylt.space.file.document import Document, Keys
from raylt.space.file.explain import shown
from raylt.space.leaf import Leaf

_CLOSED = {
    "data": "trials on different data cannot be ranked; make one space for each",
    "evaluation": "trials that are scored differently cannot be ranked; make one space for each",
    "seed": "the winner would be the luckiest seed; `raylt confirm` repeats over seeds",
}
"""What a search must not vary, and why."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A recipe with open leaves."""

    model: type[Recipe]
    """The recipe's model with the sections of its method and dataset."""
    fixed: dict[str, Any]
    """The closed values, nested as in the file."""
    leaves: tuple[Leaf, ...]
    """The open leaves, each after those that its `when` mentions."""
    known: dict[str, Value]
    """Dotted path -> value of every leaf that is closed or has a default."""
    warnings: tuple[str, ...]


def read(document: Document, *, whole_ends: bool) -> Opened:
    """The recipe part of a document, once each of its fields is checked at all its ends.

    Args:
        whole_ends: Whether a range with whole ends draws whole numbers for every field, and not
            only for one of whole numbers.

    Raises:
        InputError: a rule is broken; one line for each.
    """
    return _Reader(document, whole_ends=whole_ends).opened()


def condition(document: Document, keys: Keys, text: str, paths: Set[str]) -> Expression:
    """The expression that stands at `keys`, made of the keys in `paths`.

    Raises:
        InputError: it is no expression, or mentions another key.
    """
    try:
        expression = expressions.parse(text)
    except InputError as error:
        raise document.error(keys, str(error)) from None
    for name in sorted(expression.names - paths):
        raise document.error(
            keys,
            f"must use only keys of the recipe, but got {name!r}{did_you_mean(name, paths)}",
        )
    return expression


class _Reader:
    """Checks the recipe part of one document."""

    def __init__(self, document: Document, *, whole_ends: bool) -> None:
        self.document = document
        self.whole_ends = whole_ends
        self.values: dict[str, Any] = document.values["recipe"]
        self._name("method", "methods")
        self._name("data", "datasets")
        self.model = recipe.model_of(self.values)

    def opened(self) -> Opened:
        leaves, closed = self._leaves(), self.document
        for open_leaf in leaves:
            closed = closed.remove(open_leaf.keys)
        constants = [x for x in leaves if x.when is None and len(set(x.ends)) == 1]
        leaves = [open_leaf for open_leaf in leaves if open_leaf not in constants]
        fixed = recipe.filled(closed.values["recipe"], {x.path: x.ends[0] for x in constants})
        self._check_fields(fixed, leaves)
        known = {**recipe.defaults(self.model), **recipe.flat(fixed)}
        return Opened(
            model=self.model,
            fixed=fixed,
            leaves=self._ordered(leaves, known),
            known=known,
            warnings=(*map(self._constant, constants), *self._without_effect(leaves, known)),
        )

    def _name(self, section: str, package: str) -> None:
        """The two names decide which keys there are, so they are checked before anything else."""
        keys: Keys = ("recipe", section)
        known = plugins.names(package)
        example = f"`{section}: {{name: {known[0]}}}`"
        if section not in self.values:
            for key in self.values:
                if key not in Recipe.model_fields and (meant := did_you_mean(key, [section])):
                    raise self.document.error(
                        ("recipe", key), f"must be a key of the recipe, but is unknown{meant}"
                    )
            raise self.document.error(keys, f"must be given, but is missing; add {example}")
        values = self.values[section]
        if not isinstance(values, dict) or "name" not in values:
            raise self.document.error(
                keys,
                f"must be a mapping with a name, but got {shown(values)}; write {example}, with "
                f"one of {', '.join(known)}",
            )
        name: Any = values["name"]
        if leaf.is_open(name):
            raise self.document.error(
                (*keys, "name"),
                "must be one name, but is left open; make one space for each, and compare the "
                "studies with `raylt compare`",
            )
        if isinstance(name, str) and plugins.exists(package, name):
            try:
                plugins.config(package, name)
            except InputError as error:
                raise self.document.error((*keys, "name"), str(error)) from None
        else:
            raise self.document.error(
                (*keys, "name"),
                f"must be one of {', '.join(known)}, but got {shown(name)}"
                f"{did_you_mean(str(name), known)}",
            )

    def _leaves(self) -> list[Leaf]:
        leaves = [
            leaf.parse(
                self.document,
                keys,
                real=not self.whole_ends and explain.is_real(self.model, keys[1:]),
            )
            for keys in self._opened(("recipe",))
        ]
        for open_leaf in leaves:
            reason = _CLOSED.get(open_leaf.path.split(".")[0])
            if reason and len(set(open_leaf.ends)) > 1:
                raise self.document.error(
                    open_leaf.keys, f"must be fixed, but is left open: {reason}"
                )
        return leaves

    def _opened(self, keys: Keys) -> Iterator[Keys]:
        """The places of the recipe where a leaf is open."""
        for key, value in self.document.at(keys).items():
            inside = (*keys, key)
            if leaf.is_open(value) and explain.model_at(self.model, inside[1:]) is None:
                yield inside
            elif isinstance(value, dict):
                yield from self._opened(inside)

    def _constant(self, open_leaf: Leaf) -> str:
        place = self.document.place(open_leaf.keys)
        return (
            f"{place}: {open_leaf.path}: can only be {shown(open_leaf.ends[0])}, so nothing is "
            f"searched there; write the value alone"
        )

    def _without_effect(self, leaves: Sequence[Leaf], known: Mapping[str, Value]) -> Iterator[str]:
        """A warning for each leaf of the method that is open where it has no effect: trials would
        differ in it and be the same."""
        fields = plugins.config("methods", self.values["method"]["name"]).model_fields
        ends = {open_leaf.path: open_leaf.ends for open_leaf in leaves}
        for open_leaf in leaves:
            section, _, key = open_leaf.path.partition(".")
            marks = fields[key].metadata if section == "method" and not open_leaf.when else ()
            for where in (mark for mark in marks if isinstance(mark, Where)):
                asked = expressions.parse(where.condition)
                values = [ends.get(name) or (known[name],) for name in asked.names]
                points = (
                    dict(zip(asked.names, p, strict=True)) for p in itertools.product(*values)
                )
                if not all(asked.truth(point) for point in points):
                    yield (
                        f"{self.document.place(open_leaf.keys)}: {open_leaf.path}: does nothing "
                        f"unless {where.condition}, so trials may differ in it and be the same; "
                        f'add `when: "{where.condition}"`, or close it'
                    )

    def _broken(self, fixed: Mapping[str, Any], point: Mapping[str, Value]) -> list[ErrorDetails]:
        try:
            self.model.model_validate(recipe.filled(fixed, point))
        except ValidationError as error:
            return error.errors(include_url=False)
        return []

    def _check_fields(self, fixed: dict[str, Any], leaves: list[Leaf]) -> None:
        """Every field's own rule, at both ends and every choice of each leaf."""
        base: dict[str, Value] = {open_leaf.path: open_leaf.ends[0] for open_leaf in leaves}
        opened = {open_leaf.keys[1:] for open_leaf in leaves}
        lines: list[str] = []
        for detail in self._broken(fixed, base):
            loc = tuple(detail["loc"])
            # A rule over several keys waits for whole recipes: here absent leaves are present.
            across = detail["type"] == "value_error" and any(
                path[: len(loc)] == loc for path in opened
            )
            if not across and (loc not in opened or detail["type"] == "extra_forbidden"):
                place, text = explain.placed(detail, self.model)
                lines.append(
                    str(self.document.error(("recipe", *place), text + self._owner(detail)))
                )
        for open_leaf in leaves:
            lines += self._check_ends(fixed, base, open_leaf)
        if lines:
            raise InputError("\n".join(dict.fromkeys(lines)))

    def _check_ends(
        self, fixed: dict[str, Any], base: Mapping[str, Value], open_leaf: Leaf
    ) -> Iterator[str]:
        for i, end in enumerate(open_leaf.ends):
            key: Keys = (("low", "high")[i],) if open_leaf.choices is None else ("choices", i)
            came = f"its {key[0]} is" if open_leaf.choices is None else "one choice is"
            for detail in self._broken(fixed, {**base, open_leaf.path: end}):
                own = ("recipe", *detail["loc"])[: len(open_leaf.keys)] == open_leaf.keys
                if own and detail["type"] != "extra_forbidden":
                    text = explain.sentence(detail, self.model, came=came)
                    place = self.document.place((*open_leaf.keys, *key))
                    yield f"{place}: {open_leaf.path}: {text}"
                    break

    def _owner(self, detail: ErrorDetails) -> str:
        """A hint where an unknown key of this method is a key of others."""
        loc = detail["loc"]
        if detail["type"] != "extra_forbidden" or loc[0] != "method":
            return ""
        owners = [
            name
            for name in plugins.names("methods")
            if loc[1] in plugins.config("methods", name).model_fields
        ]
        if not owners:
            return ""
        name = self.values["method"]["name"]
        return f"; {loc[1]} is a key of {', '.join(owners)}, but method.name is {name}"

    def _ordered(self, leaves: list[Leaf], known: Mapping[str, Value]) -> tuple[Leaf, ...]:
        """The leaves in the order of the file, but each after those that its `when` mentions."""
        paths = {open_leaf.path for open_leaf in leaves}
        for open_leaf in leaves:
            if open_leaf.when is None:
                continue
            keys = (*open_leaf.keys, "when")
            condition(self.document, keys, open_leaf.when.text, {*known, *paths})
            if open_leaf.path not in known:
                raise self.document.error(
                    keys,
                    f"must be left out, since {open_leaf.path} has no default to use where it "
                    f"does not hold; remove `when`",
                )
        ordered: list[Leaf] = []
        waiting = list(leaves)
        while waiting:
            settled = paths - {open_leaf.path for open_leaf in waiting}
            ready = next(
                (x for x in waiting if not x.when or x.when.names & paths <= settled), None
            )
            if ready is None:
                raise self.document.error(
                    (*waiting[0].keys, "when"),
                    f"must not form a circle, but {' and '.join(x.path for x in waiting)} depend "
                    f"on each other; remove one `when`",
                )
            waiting.remove(ready)
            ordered.append(ready)
        return tuple(ordered)
