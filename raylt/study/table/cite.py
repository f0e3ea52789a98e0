"""What a paper cites: a BibTeX entry for every method and dataset of a table."""

from __future__ import annotations

import re

from raylt import plugins
from raylt.study.table.rows import Table


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


def used(table: Table) -> list[tuple[str, str]]:
    """Every method and dataset of a table once, by its package and name."""
    methods = [("methods", row.method) for row in table.rows]
    datasets = [("datasets", row.recipe["data"]["name"]) for row in table.rows]
    return list(dict.fromkeys([*methods, *datasets]))


def bibliography(table: Table) -> str:
    """The entries of all of them, each once; a comment for one that declares none."""
    entries = [
        entry(package, name) or f"% the file of {name} declares no BIBTEX"
        for package, name in used(table)
    ]
    return "\n\n".join(dict.fromkeys(entries))
