"""Pydantic's errors in plain words: what must hold, what came, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from raylt.plugins import did_you_mean
from raylt.schema import Frozen, InputError
from raylt.space.file.document import Document, Keys

M = TypeVar("M", bound=Frozen)

_BOUNDS = {
    "greater_than": ("gt", ">"),
    "greater_than_equal": ("ge", ">="),
    "less_than": ("lt", "<"),
    "less_than_equal": ("le", "<="),
}
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "path_type": "a path",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
}


def check(model: type[M], document: Document, *section: str | int) -> M:
    """The model that a document describes, or a section of it, such as `study`.

    Raises:
        InputError: one line for each rule that is broken, with file and line.
    """
    try:
        return model.model_validate(document.at(section))
    except ValidationError as error:
        lines = [
            str(document.error(_written((*section, *loc), document), text))
            for loc, text in sentences(error, model)
        ]
        raise InputError("\n".join(lines)) from None


def _written(keys: Keys, document: Document) -> Keys:
    """The part of a place that the user has written: `objective` for `objective.0.metric`."""
    for n, key in enumerate(keys):
        if keys[: n + 1] not in document.places:
            return keys[:n] if isinstance(key, int) else keys[: n + 1]
    return keys


def sentences(error: ValidationError, model: type[BaseModel]) -> list[tuple[Keys, str]]:
    """The place within the model and the sentence of each broken rule."""
    return [placed(detail, model) for detail in error.errors(include_url=False)]


def placed(detail: ErrorDetails, model: type[BaseModel]) -> tuple[Keys, str]:
    """The place and the sentence of one broken rule.

    A rule over several keys begins with the one to change: `schedule.warmup must be ...`.
    """
    loc, text = tuple(detail["loc"]), sentence(detail, model)
    first, _, rest = text.partition(" ")
    return ((*loc, *first.split(".")), rest) if rest.startswith("must ") else (loc, text)


def sentence(detail: ErrorDetails, model: type[BaseModel], *, came: str = "got") -> str:
    """`must be > 0, but got -1; the default is 0.2`."""
    loc, kind = detail["loc"], detail["type"]
    parent = model_at(model, loc[:-1])
    field = parent.model_fields.get(str(loc[-1])) if parent and loc else None
    if kind == "missing":
        example = f"`{loc[-1]}: {_example(field)}`"
        return f"must be given, but is missing; add {example}{_meaning(field)}"
    if kind == "extra_forbidden" and parent:
        known = list(parent.model_fields)
        return (
            f"must be a key of {_section(loc)}, but is unknown"
            f"{did_you_mean(str(loc[-1]), known)}; known: {', '.join(known)}"
        )
    if kind == "value_error":
        return str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
    return f"{_rule(detail, model)}, but {came} {shown(detail['input'])}{_remedy(detail, field)}"


def dotted(loc: Iterable[str | int]) -> str:
    """`optimizer.lr`, or `points.0` in a list."""
    return ".".join(map(str, loc))


def shown(value: Any) -> str:
    """A value as it stands in YAML, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "nothing (null)", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def model_at(model: type[BaseModel], loc: Iterable[str | int]) -> type[BaseModel] | None:
    """The model of a section, or None where no model stands."""
    for part in loc:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = model_in(field.annotation) if field else None
        if inner is None:
            return None
        model = inner
    return model


def is_real(model: type[BaseModel], loc: Keys) -> bool:
    """Whether the field that stands there takes any real number."""
    section = model_at(model, loc[:-1])
    field = section.model_fields.get(str(loc[-1])) if section else None
    kinds: tuple[Any, ...] = (float, float | None)
    return field is not None and field.annotation in kinds


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)


def paths(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The dotted path of every key of a model and of its sections."""
    for key, field in model.model_fields.items():
        yield path + key
        inner = None if get_origin(field.annotation) is tuple else model_in(field.annotation)
        if inner is not None:
            yield from paths(inner, f"{path}{key}.")


def _section(loc: Keys) -> str:
    return f"`{dotted(loc[:-1])}`" if len(loc) > 1 else "this section"


def _rule(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        return f"must be {sign} {context[name]:g}"
    if kind == "literal_error":
        return f"must be one of {', '.join(_options(detail))}"
    if kind in ("model_type", "model_attributes_type"):
        section = model_at(model, detail["loc"])
        assert section
        return f"must be a mapping with keys of {', '.join(section.model_fields)}"
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    return f"must be valid ({detail['msg']})"


def _options(detail: ErrorDetails) -> list[str]:
    """The words of a Literal: pydantic gives them as `True, 'a' or 'b'`."""
    words = re.findall(r"'[^']*'|True|False", detail.get("ctx", {})["expected"])
    return [word.strip("'") if word[0] == "'" else word.lower() for word in words]


def _remedy(detail: ErrorDetails, field: FieldInfo | None) -> str:
    value = detail["input"]
    if detail["type"] == "literal_error":
        return did_you_mean(str(value), _options(detail))
    if isinstance(value, str) and detail["type"] in ("int_type", "float_type"):
        return "; write it in digits, without quotes"
    if detail["type"] in ("tuple_type", "list_type") and not isinstance(value, dict):
        return f"; write [{value}]"
    if detail["type"] == "string_type" and not isinstance(value, dict | list):
        return "; put it in quotes"
    if field is not None and not field.is_required() and field.default is not None:
        return f"; the default is {shown(field.default)}"
    return _meaning(field)


def _meaning(field: FieldInfo | None) -> str:
    text = (field.description or "") if field else ""
    first = text.split(";")[0].split(". ")[0].replace("\n", " ").rstrip(".")
    return f" ({first[:1].lower()}{first[1:]})" if first else ""


def _example(field: FieldInfo | None) -> str:
    """A legal value for a missing key, as one would write it."""
    annotation = field.annotation if field else None
    if field and field.examples:
        return str(field.examples[0])
    section = model_in(annotation)
    if section:
        needed = {k: v for k, v in section.model_fields.items() if v.is_required()}
        return "{" + ", ".join(f"{key}: {_example(value)}" for key, value in needed.items()) + "}"
    if get_origin(annotation) is Literal:
        return str(get_args(annotation)[0])
    return {int: "64", float: "0.1", bool: "true"}.get(annotation, "...")  # type: ignore[reportArgumentType]
