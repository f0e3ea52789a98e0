"""The directive `raylt-reference`, which writes what the code knows; and the role `key`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import ClassVar

import click
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

import raylt
from raylt import plugins
from raylt.cli import exits
from raylt.reference import environment, files, keys
from raylt.reference.keys import Entry
from raylt.study.tracking import metric_table


def _listed(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A definition list; a term has its definition below it."""
    for term, text in items:
        first, *rest = text.splitlines()
        yield from (term, f": {first}", *(f"  {line}" if line else "" for line in rest), "")


def _anchor(file: str, key: str) -> str:
    prefix = "profile" if file == keys.PROFILE else "key"
    return f"{prefix}-{re.sub(r'[^a-z0-9]+', '-', key.lower())}"


def _key(key: str, entries: Iterable[Entry], declared: str) -> tuple[str, str]:
    """One key, which has several entries where methods or datasets differ in it.

    Args:
        declared: The file that the section is declared in; another one is named.
    """
    entries = list(entries)
    parts: list[str] = []
    for entry in entries:
        of = f" ({', '.join(entry.owners)})" if entry.owners else ""
        parts.append(f"*{keys.values(entry)}*{of}\\\n{entry.meaning}")
        if entry.option:
            parts[-1] += f"\\\nOption: `{entry.option}`"
        if published := [f"{value} with {name}" for name, value, _ in entry.published]:
            parts[-1] += f"\\\n[Published](#published): {', '.join(published)}."
        if entry.source != declared:
            parts[-1] += f"\\\nDeclared in {_files(entry.source)}."
    return f"[`{key}`]{{#{_anchor(entries[0].file, key)}}}", "\n\n".join(parts)


def _files(source: str) -> str:
    return f"`{source}`".replace(", ", "`, `")


def _entries(chosen: Iterable[Entry]) -> Iterator[str]:
    """The keys of a section, below the file that declares most of them."""
    every = list(chosen)
    (declared, times), *others = Counter(e.source for e in every).most_common()
    if times > 1:
        unless = ", unless another file is named" if others else ""
        yield from (f"Declared in {_files(declared)}{unless}.", "")
    by_key = {
        key: [e for e in every if e.key == key] for key in dict.fromkeys(e.key for e in every)
    }
    yield from _listed(
        _key(key, entries, declared if times > 1 else "") for key, entries in by_key.items()
    )


def _sections(chosen: Iterable[Entry], plain: str) -> Iterator[str]:
    """Entries below a heading for each section of the file."""
    every = list(chosen)
    sections = {e.key.partition(".")[0] for e in every if "." in e.key}
    alone = [e for e in every if e.key not in sections and "." not in e.key]
    nested = [e for e in every if e not in alone]
    for section, inner in groupby(nested, key=lambda e: e.key.partition(".")[0]):
        if section != "study":
            yield from (f"## {plain}", "", *_entries(alone)) if alone else ()
            alone = []
        yield from (f"## `{section}`", "", *_entries(inner))


def space() -> Iterator[str]:
    """The keys of a space file."""
    yield from _sections(
        (e for e in keys.entries() if e.file == keys.SPACE), "The recipe's own keys"
    )
    yield from ("## An open leaf", "")
    yield from _entries(e for e in keys.entries() if e.file == keys.LEAF)


def profile() -> Iterator[str]:
    """The keys of a profile."""
    yield from _sections((e for e in keys.entries() if e.file == keys.PROFILE), "Keys at the top")


def published() -> Iterator[str]:
    """The published setting of each method."""
    yield from ("| method | setting | source |", "|---|---|---|")
    for name in plugins.files("methods"):
        setting = plugins.declared("methods", name, "PUBLISHED")
        values = ", ".join(f"`{key}: {value}`" for key, value in setting.values.items())
        yield f"| {name} | {values} | {setting.source} |"


def variables() -> Iterator[str]:
    """The environment variables."""
    yield from _listed((f"`{name}`", text) for name, text in environment.variables().items())


def codes() -> Iterator[str]:
    """The exit codes."""
    yield from ("| code | meaning |", "|--:|---|")
    for code, text in exits.CODES.items():
        # A bar ends a cell, even in code.
        cell = text.replace("|", r"\|")
        yield f"| {code} | {cell} |"


def written() -> Iterator[str]:
    """The files that a search writes."""
    yield from _listed((f"`{name}`", text) for name, text in files.FILES.items())


def metrics() -> Iterator[str]:
    """The metrics that MLflow is given, by what each is of, and what else a trial has."""
    heads = {
        "epoch": "Of a scored epoch",
        "trial": "Of a trial that has ended",
        "study": "Of the study",
        "confirmation": "Of a confirmation",
    }
    for of, rows in groupby(metric_table.TABLE, lambda row: row.of):
        yield from (f"## {heads[of]}", "", "| metric | meaning | unit |", "|---|---|---|")
        for row in rows:
            asked = "" if row.always else "; in MLflow only where the study looks at it"
            yield f"| `{row.name}` | {row.meaning}{asked} | {row.unit} |"
        yield ""
    yield from ("## What else a trial has", "", "| column or tag | meaning |", "|---|---|")
    yield from (f"| `{name}` | {meaning} |" for name, meaning in metric_table.FIELDS.items())


def python() -> Iterator[str]:
    """The public names of the package."""
    yield "```{eval-rst}"
    for name in raylt.__all__:
        value = getattr(raylt, name)
        if isinstance(value, type) and issubclass(value, Exception):
            continue  # Errors have a part of their own.
        if isinstance(value, type):
            yield from (f".. autoclass:: raylt.{name}", "   :members:", "")
        elif callable(value):
            yield from (f".. autofunction:: raylt.{name}", "")
    yield "```"


class Reference(SphinxDirective):
    """Writes one of the lists in place of itself."""

    required_arguments = 1
    lists: ClassVar[dict[str, Callable[[], Iterator[str]]]] = {
        "space": space,
        "profile": profile,
        "published": published,
        "variables": variables,
        "codes": codes,
        "files": written,
        "metrics": metrics,
        "python": python,
    }

    def run(self) -> list[nodes.Node]:
        """The list, read as Markdown."""
        lines = list(self.lists[self.arguments[0]]())
        container = nodes.Element()
        self.state.nested_parse(StringList(lines, "raylt"), 0, container, match_titles=True)
        return container.children


class Key(SphinxRole):
    """`{key}`method.prune`` is a link to the key in the reference."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The link; a key that there is not ends the build."""
        file = next((e.file for e in keys.entries() if e.key == self.text), None)
        if file is None:
            message = self.inliner.reporter.error(f"no key {self.text!r}", line=self.lineno)
            return [nodes.literal(text=self.text)], [message]
        page = "profile" if file == keys.PROFILE else "space"
        depth = self.env.docname.count("/")
        target = f"{'../' * depth}reference/{page}.html#{_anchor(file, self.text)}"
        link = nodes.reference("", "", nodes.literal(text=self.text), refuri=target)
        return [link], []


def _fences(
    app: Sphinx, what: str, name: str, of: object, options: object, lines: list[str]
) -> None:
    """Turn the fenced blocks of a docstring into blocks of reStructuredText."""
    inside, text = False, list(lines)
    lines.clear()
    for line in text:
        if line.startswith("```"):
            inside = not inside
            lines += [f".. code-block:: {line.removeprefix('```')}"] if inside else []
            lines.append("")
        else:
            lines.append(f"   {line}" if inside else line)


def _examples(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Turn the commands below the word "Example" of a help into a block of code."""
    text = [line.removeprefix("| ") for line in lines]
    lines.clear()
    for line in text:
        if line.startswith("  "):
            if lines and not lines[-1].startswith("   "):
                lines += ["", ".. code-block:: shell", ""]
            lines.append(f" {line}")
        else:
            lines += ["", line] if lines and lines[-1].startswith("   ") else [line]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all."""
    app.connect("sphinx-click-process-description", _examples)
    app.add_directive("raylt-reference", Reference)
    app.add_role("key", Key())
    app.connect("autodoc-process-docstring", _fences)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
