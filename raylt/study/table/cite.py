"""What a paper cites: a BibTeX entry for every method and dataset of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from raylt import plugins


def entry(package: str, name: str) -> str:
    """The BibTeX entry that a method's or dataset's file declares as `BIBTEX`; "" without one."""
    try:
        text: str = plugins.declared(package, name, "BIBTEX")
    except AttributeError:
        return ""
    return text.strip()


def key(text: str) -> str:
    """The word by which an entry is cited; "" for no entry."""
    match = re.match(r"@\w+\{([^,]+),", text)
    return match.group(1) if match else ""


def used(recipes: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Every method and dataset of some recipes once, by its package and name."""
    methods = [("methods", recipe["method"]["name"]) for recipe in recipes]
    datasets = [("datasets", recipe["data"]["name"]) for recipe in recipes]
    return list(dict.fromkeys([*methods, *datasets]))


def bibliography(recipes: Sequence[Mapping[str, Any]]) -> str:
    """The entries of all of them, each once; a comment for one that declares none."""
    entries = [
        entry(package, name) or f"% the file of {name} declares no BIBTEX"
        for package, name in used(recipes)
    ]
    return "\n\n".join(dict.fromkeys(entries))
