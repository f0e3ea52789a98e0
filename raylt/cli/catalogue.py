"""The space files that come with raylt: what each is, whence its values, what it costs."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import Any

from raylt import recipe
from raylt.plugins import did_you_mean
from raylt.schema import InputError
from raylt.space.file import bundled, document


def spaces(name: str | None = None) -> list[dict[str, Any]]:
    """Every bundled space as plain values, or one: name, what, source, data, trials, epochs,
    images.

    Raises:
        InputError: there is none of that name.
    """
    known = bundled.files("search_spaces") if name is None else {name: file(name)}
    return [_space(key, path) for key, path in known.items()]


def file(name: str) -> Path:
    """The file of one of them; as for `spaces`."""
    known = bundled.files("search_spaces")
    if name not in known:
        raise InputError(
            f"NAME must be a space that comes with raylt, but got {name[:60]!r}"
            f"{did_you_mean(name, known)}; `raylt spaces` lists them"
        )
    return known[name]


def text(values: list[dict[str, Any]]) -> str:
    """The same for people, and the profiles."""
    lines: list[str] = []
    for space in values:
        size = "" if space["images"] is None else f" on {space['images']:,} images"
        lines += [
            space["name"],
            f"  {space['what']}",
            f"  source  {space['source']}",
            f"  cost    {space['trials']} trials of up to {space['epochs']} epochs{size}",
            f"  data    {space['data']}",
        ]
    profiles = ", ".join(bundled.files("clusters"))
    return "\n".join(
        [*lines, "", "Use one by its name: `raylt check sdclr`", f"Profiles: {profiles}"]
    )


def _space(name: str, path: Path) -> dict[str, Any]:
    values, text = document.read(path).values, path.read_text("utf-8")
    study, recipe_values = values["study"], values["recipe"]
    counts = recipe.dataset(recipe_values).train_counts()
    return {
        "name": name,
        "what": _first_sentence(text),
        "source": study["baseline"]["source"],
        "data": _data(text),
        "trials": study["trials"],
        "epochs": recipe_values["epochs"],
        "images": counts and sum(counts),
    }


def _first_sentence(text: str) -> str:
    """The sentence that a file's comment begins with."""
    lines = (line for line in text.splitlines() if not line.startswith(bundled.MODELINE))
    comment = takewhile(lambda line: line.startswith("# "), lines)
    words = " ".join(line.removeprefix("#").strip() for line in comment)
    return re.split(r"(?<=[.)a-z])[.](?:\s+|$)", words)[0] + "."


def _data(text: str) -> str:
    """How one comes by the images, as the file's comment says it."""
    command = re.search(r"raylt data get \w+", text)
    if command:
        return command[0]
    return "your own copy" if "images and lists are yours" in text else "comes with raylt"
