"""Presets: values of the recipe that belong together and are chosen by one word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from raylt.plugins import did_you_mean
from raylt.space.file.document import COMMAND_LINE, Document
from raylt.space.file.explain import shown


def applied(document: Document) -> tuple[Document, list[str]]:
    """The document with the values of the preset that `study.preset` names in its recipe.

    What the command line gives stands, and leaves the preset.

    Raises:
        InputError: there is no such preset.
    """
    study = document.values["study"]
    name, known = study.get("preset"), study.get("presets", {})
    if not isinstance(name, str) or not isinstance(known, dict):
        return document, []  # refused with the rest of the study, unless there is no name
    if name not in known:
        near = did_you_mean(name, list[Any](known))
        raise document.error(
            ("study", "preset"),
            f"must be a preset of this space, but got {shown(name)}{near}; "
            + (f"known: {', '.join(known)}" if known else "leave it out, for there is none"),
        )
    values: Any = known[name]
    lines: list[str] = []
    for path, value in values.items() if isinstance(values, dict) else ():
        keys, source = ("recipe", *path.split(".")), ("study", "presets", name, path)
        if document.place(keys) == COMMAND_LINE:
            lines.append(f"{COMMAND_LINE}: {path} overrules {shown(value)} of the preset {name}")
            document = document.remove(source)
            continue
        places = {**document.places, keys: document.place(source)}
        document = replace(document.put(keys, value), places=places)
    return document, lines
