"""Space files for other programs: a JSON Schema that editors complete and check with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from raylt import encoders, plugins
from raylt.encoders import EncoderConfig
from raylt.recipe import Recipe
from raylt.space.leaf import Choices, Range
from raylt.space.plan import Study

LEAF = {"range": Range, "choices": Choices}
"""What may open a leaf."""
# A pattern alone admits everything that is no text.
_REFERENCE = {
    "type": "string",
    "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
    "description": "module:Object on Python's path or beside the space file.",
}
_ENCODER = {
    "anyOf": [
        {"enum": list(encoders.names())},
        {"type": "string", "pattern": r"^(torchvision|timm)/[\w.]+$"},
        _REFERENCE,
    ]
}
"""The name of an encoder."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of space files, with the methods and datasets that are installed."""
    definitions: dict[str, Any] = {}
    definitions |= {name: _of(model, definitions) for name, model in LEAF.items()}
    study = _of(Study, definitions)
    recipe = _of(Recipe, definitions)
    encoder = recipe["properties"].pop("encoder")
    recipe = _opened(recipe, definitions)
    recipe["properties"] |= {
        "method": _plugin("methods", definitions),
        "data": _plugin("datasets", definitions),
        "encoder": {
            "description": encoder["description"],
            "anyOf": [
                _ENCODER,
                {"$ref": "#/$defs/choices"},
                _opened(_of(EncoderConfig, definitions), definitions),
            ],
        },
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "raylt search space",
        "type": "object",
        "properties": {"study": study, "recipe": recipe},
        "required": ["study", "recipe"],
        "additionalProperties": False,
        "$defs": {name: definitions[name] for name in _reached((study, recipe), definitions)},
    }
    return flowing(schema)


def flowing(schema: Any) -> Any:
    """A schema whose descriptions are one line: editors show a line of source as a paragraph."""
    if isinstance(schema, list):
        return [flowing(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(part.split())
        if key == "description" and isinstance(part, str)
        else flowing(part)
        for key, part in schema.items()
    }


def _of(model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one model; those of its sections are added to `definitions`."""
    schema = model.model_json_schema()
    definitions |= schema.pop("$defs", {})
    return schema


def _plugin(package: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A section whose other keys depend on its `name`."""
    names = plugins.names(package)
    return {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"anyOf": [{"enum": list(names)}, _REFERENCE]}},
        "allOf": [
            {
                "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
                "then": _opened(_of(plugins.config(package, name), definitions), definitions),
            }
            for name in names
        ],
    }


def _opened(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A section in which every scalar may also be an open leaf."""
    properties: dict[str, Any] = {}
    for key, field in schema["properties"].items():
        section = _section(field, definitions)
        if section is not None:
            properties[key] = _opened(section, definitions)
        elif key == "name" or field.get("type") == "array":
            properties[key] = field
        else:
            described = {k: field[k] for k in ("title", "description", "default") if k in field}
            rule = {k: v for k, v in field.items() if k not in described}
            leaves = [{"$ref": f"#/$defs/{kind}"} for kind in LEAF]
            properties[key] = {**described, "anyOf": [rule, *leaves]}
    return {**schema, "properties": properties}


def _section(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any] | None:
    name = field.get("$ref", "").rpartition("/")[2]
    definition = definitions.get(name)
    return definition if definition and definition.get("type") == "object" else None


def _reached(schemas: Iterable[Any], definitions: Mapping[str, Any]) -> list[str]:
    """The definitions that schemas refer to, directly or through others, in a stable order."""
    names: set[str] = set()
    waiting = list(schemas)
    while waiting:
        referred = set(re.findall(r"'#/\$defs/([^']+)'", str(waiting.pop()))) - names
        names |= referred
        waiting += [definitions[name] for name in referred]
    return sorted(names)
