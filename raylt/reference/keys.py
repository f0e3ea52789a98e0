"""Every key of a space file and of a profile: its type, default, range, meaning and source.

All of it is read from the models that check these files. `raylt help KEY` and the pages of the
documentation show it.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from raylt import plugins, settings
from raylt.encoders import EncoderConfig
from raylt.plugins import did_you_mean
from raylt.recipe import Recipe
from raylt.schema import InputError
from raylt.space import strategy
from raylt.space.file.explain import model_in
from raylt.space.leaf import Choices, Range
from raylt.space.metric_names import METRICS
from raylt.space.plan import Study

SPACE, LEAF, PROFILE = "space file", "open leaf", "profile"
_PLUGINS = {"method": "methods", "data": "datasets"}
_KINDS = {"method": "methods", "dataset": "datasets"} | {s: f"{s}s" for s in strategy.SECTIONS}
_ALIKE, _SHORT_ALIKE = 0.73, 0.8
"""How alike a word must be to be offered instead, for there are hundreds; one for a word of up to
three letters."""
_TYPES = {
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "string": "text",
    "object": "mapping",
    "null": "nothing",
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}
REQUIRED = "required"
Published = Mapping[str, Sequence[tuple[str, str, str]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key."""

    key: str
    """Its dotted path, such as `method.temperature`."""
    file: str
    """Where it stands: `SPACE`, `LEAF` or `PROFILE`."""
    type: str
    """Such as `number`, or the words that it may be."""
    range: str
    """The numbers that it may be; empty where there is no bound."""
    default: str
    """In the notation of YAML, or `REQUIRED`; empty for a section."""
    meaning: str
    """What it does."""
    source: str
    """The files of raylt that declare it."""
    published: tuple[tuple[str, str, str], ...] = ()
    """Method, the value that it was published with, and where."""
    owners: tuple[str, ...] = ()
    """The methods, datasets, samplers or schedulers that have it; empty where all have."""
    option: str = ""
    """Its flag and environment variable."""


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Every key, in the order of the files; a key of several methods once for each wording."""
    return (*_study(), *_recipe(), *_leaf(), *_profile())


def find(word: str, others: Iterable[str] = ()) -> tuple[Entry, ...]:
    """The entries of a key, and where it is a section those of all keys in it.

    Args:
        word: The key, or its last part, such as `lr`; or a method, dataset, sampler or scheduler,
            whose own keys are meant.
        others: Words that may have been meant, too.

    Raises:
        InputError: there is none; the nearest one is named.
    """
    name = word.removeprefix("recipe.")
    chosen = [e for e in entries() if e.key == name or e.key.startswith(f"{name}.")]
    if name == "recipe":
        chosen = [e for e in entries() if e.file == SPACE and "." not in e.key]
    chosen = chosen or [e for e in entries() if e.key.rpartition(".")[2] == name]
    chosen = chosen or [entry for entry in entries() if name in entry.owners]
    if not chosen and not about(name):
        raise InputError(
            f"must be a verb, a key such as method.temperature, a metric such as val/few, or a "
            f"method, but got {word!r}; {_instead(name, others)}"
        )
    return tuple(chosen)


def _instead(name: str, others: Iterable[str]) -> str:
    """What may have been meant by a word that is no key, or where to look."""
    keys = [entry.key for entry in entries()]
    parts = (part for key in keys for part in key.rpartition(".")[::2] if part)
    owners = (owner for package in _KINDS.values() for owner in plugins.names(package))
    known = [*others, *dict.fromkeys([*keys, *parts, *owners])]
    closeness = _ALIKE if len(name) > 3 else _SHORT_ALIKE
    near = did_you_mean(name, known, closeness=closeness).removeprefix("; ")
    return near or "`raylt help` lists the verbs, `raylt help study` and `raylt help recipe` keys"


def about(word: str) -> str:
    """What a method, dataset, sampler or scheduler is, as `kcl (method): ...`; "" for no such
    word."""
    return "\n".join(
        f"{word} ({kind}): {plugins.summary(package, word)}"
        for kind, package in _KINDS.items()
        if word in plugins.names(package)
    )


def text(chosen: Iterable[Entry], *, width: int = 80) -> str:
    """Entries for a terminal."""
    return "\n\n".join(_paragraph(entry, width) for entry in chosen)


def values(entry: Entry) -> str:
    """Type, range and default in one phrase."""
    default = f"default {entry.default}" if entry.default else ""
    default = REQUIRED if entry.default == REQUIRED else default
    return ", ".join(part for part in (entry.type, entry.range, default) if part)


def _paragraph(entry: Entry, width: int) -> str:
    of = f", with {', '.join(entry.owners)}" if entry.owners else ""
    lines = [f"{entry.key} ({entry.file}{of})", values(entry), entry.meaning]
    lines += [f"Option: {entry.option}"] if entry.option else []
    lines += [f"Published with {name}: {value} ({of})" for name, value, of in entry.published]
    lines += [f"Declared in {entry.source}"]
    head, *rest = lines
    indented = [
        textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    ") for line in rest
    ]
    return "\n".join([textwrap.fill(head, width, subsequent_indent="  "), *indented])


def _study() -> Iterator[Entry]:
    for entry in _of(Study, "study", SPACE):
        section, _, key = entry.key.removeprefix("study.").partition(".")
        if section in strategy.SECTIONS and key:
            every = plugins.names(f"{section}s")
            owners = tuple(name for name in every if key not in strategy.idle(section, name))
            yield entry if owners == every else replace(entry, owners=owners)
        else:
            yield entry


def _recipe() -> Iterator[Entry]:
    published = _published()
    for entry in _of(Recipe, "", SPACE):
        section = entry.key.partition(".")[0]
        if entry.key in _PLUGINS:
            yield entry
            yield from _plugins(section, published)
        elif section not in _PLUGINS:
            yield _with_published(entry, published)
        if entry.key == "encoder":
            yield from _of(EncoderConfig, "encoder", SPACE)


def _plugins(section: str, published: Published) -> Iterator[Entry]:
    """The keys of all methods or datasets; those with the same entry are one."""
    package = _PLUGINS[section]
    names = plugins.names(package)
    declared: dict[Entry, dict[str, str]] = {}
    for name in names:
        config = plugins.config(package, name)
        for entry in _of(config, section, SPACE):
            if entry.key == f"{section}.name":
                entry = replace(
                    entry,
                    type=f"{_words(names)}, or module:Object of your own",
                    default=REQUIRED,
                    meaning=f"Which of raylt's {package}, or one of your own.",
                    source=f"raylt/{package}",
                )
            declared.setdefault(replace(entry, source=""), {})[name] = entry.source
    # The entries of one key stand together, where the first of them does.
    first = {entry.key: i for i, entry in reversed(list(enumerate(declared)))}
    for entry in sorted(declared, key=lambda entry: first[entry.key]):
        sources = declared[entry]
        owners = () if tuple(sources) == names else tuple(sources)
        source = ", ".join(dict.fromkeys(sources.values()))
        yield _with_published(replace(entry, owners=owners, source=source), published)


def _leaf() -> Iterator[Entry]:
    """The keys of an open leaf."""
    yield from _of(Range, "", LEAF)
    yield from (entry for entry in _of(Choices, "", LEAF) if entry.key == "choices")


def _profile() -> Iterator[Entry]:
    for entry in _of(settings.Profile, "", PROFILE):
        section, _, key = entry.key.rpartition(".")
        model = settings.Trial if section else settings.Profile
        option = settings.option_of(model.model_fields[key])
        if option is None:
            yield entry
            continue
        words = f"{settings.flag(key)} {option.metavar or ''}".strip()
        variable = f", {option.variable}" if option.variable else ""
        yield replace(entry, option=words + variable)


def _of(model: type[BaseModel], path: str, file: str) -> Iterator[Entry]:
    """The keys of a model and of its sections."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    for key, field in schema["properties"].items():
        name = f"{path}.{key}" if path else key
        info = model.model_fields[key]
        default = REQUIRED if info.is_required() else _yaml(field.get("default"))
        inner = model_in(info.annotation)
        if inner is not None and info.default is not None and not isinstance(info.default, tuple):
            default = "" if not info.is_required() else REQUIRED
        if not field.get("description") and inner is not None:
            field = {**field, "description": inner.__doc__}
        yield _entry(name, file, field, definitions, default, _declared(model, key))
        if inner is not None and name not in _PLUGINS and name != "encoder":
            yield from _of(inner, name, file)


def _entry(
    key: str,
    file: str,
    field: Mapping[str, Any],
    definitions: Mapping[str, Any],
    default: str,
    source: str,
) -> Entry:
    meaning = " ".join((field.get("description") or "").split())
    return Entry(key, file, _type(field, definitions), _range(field), default, meaning, source)


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    match field:
        case {"$ref": reference}:
            return _type(definitions.get(reference.rpartition("/")[2], {}), definitions)
        case {"anyOf": parts}:
            types = [_type(part, definitions) for part in parts if part.get("type") != "null"]
            return _words(dict.fromkeys(types))
        case {"enum": words} if words == list(METRICS):
            return "name of a metric"
        case {"enum": words}:
            return _words(map(_yaml, words))
        case {"const": word}:
            return _yaml(word)
        case {"type": "array", "items": items}:
            return f"list, each {_type(items, definitions)}"
        case {"type": "array"}:
            return "list"
        case {"type": [*types]}:
            return " or ".join(_TYPES[name] for name in types)
        case {"type": name}:
            return _TYPES[name]
        case _:
            return "value of its leaf"


def _range(field: Mapping[str, Any]) -> str:
    bounds = [words.format(_yaml(field[key])) for key, words in _BOUNDS.items() if key in field]
    if not bounds and "anyOf" in field:
        return next((bound for part in field["anyOf"] if (bound := _range(part))), "")
    return " and ".join(bounds)


def _words(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _yaml(value: Any) -> str:
    match value:
        case None:
            return "left out"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case list():
            return f"[{', '.join(map(_yaml, value))}]"
        case dict():
            pairs = {key: inner for key, inner in value.items() if inner is not None}
            return f"{{{', '.join(f'{key}: {_yaml(inner)}' for key, inner in pairs.items())}}}"
        case _:
            return str(value)


def _declared(model: type[BaseModel], key: str) -> str:
    """The file of the class that declares a key."""
    owner = next((c for c in model.__mro__ if key in inspect.get_annotations(c)), model)
    return owner.__module__.partition(":")[0].replace(".", "/") + ".py"


def _published() -> dict[str, list[tuple[str, str, str]]]:
    """Key -> method, the published value, and where it stands."""
    by_key: dict[str, list[tuple[str, str, str]]] = {}
    for name in plugins.files("methods"):
        setting = plugins.declared("methods", name, "PUBLISHED")
        for key, value in setting.values.items():
            by_key.setdefault(key, []).append((name, _yaml(value), setting.source))
    return by_key


def _with_published(entry: Entry, published: Published) -> Entry:
    of_owners = [
        value
        for value in published.get(entry.key, ())
        if not entry.owners or value[0] in entry.owners
    ]
    return replace(entry, published=tuple(of_owners))
