"""The fenced blocks of the documentation's pages; docs/README.md has their rules.

`python -m tests.docs.blocks` lists how many there are of each kind, and those that are not run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    if "_build" not in path.parts and path != ROOT / "docs" / "README.md"
)
RUN = {"yaml", "console", "sh", "python"}
SHOWN = {"", "text", "json", "toml", "ini", "dockerfile", "mermaid", "bibtex"}

_FENCE = re.compile(r" *(`{3,})(\S*)")
_FILE = re.compile(r"`([\w./-]+)`:")
_COMMENT = re.compile(r"<!-- (not run|exit|tested with|given): (.+) -->")
_DEAR = re.compile(
    r"\braylt (?:tune|train|confirm|resume|ablate|init)\b(?!.*(?:--help|--dry-run))"
    r"|\braylt\.tune\("
)
_UV = re.compile(r"(?:pip install uv && )?uv run ")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and the lines that a page shows below it."""

    text: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    language: str
    text: str
    notes: dict[str, str]
    """What the comments above it say, by their first word; `file` for the name of a file."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.language in RUN and "not run" not in self.notes

    @property
    def dear(self) -> bool:
        """Whether it trains."""
        return self.runs and self.language != "yaml" and _DEAR.search(self.text) is not None

    def commands(self) -> list[Command]:
        """The commands of a `console` or `sh` block."""
        text = self.text.replace("\\\n", " ")
        commands: list[Command] = []
        for line in text.splitlines():
            if self.language == "console" and not line.startswith("$ "):
                last = commands.pop()
                commands.append(Command(last.text, (*last.shown, line)))
            elif line.strip() and not line.startswith("#"):
                commands.append(Command(self._tried(line.removeprefix("$ "))))
        return commands

    def _tried(self, line: str) -> str:
        command, extra = _UV.sub("", line), self.notes.get("tested with", "")
        if extra and re.match(r"raylt (?:tune|train)\b", command):
            words, hash_, comment = command.partition("  #")
            command = f"{words} {extra}{hash_}{comment}"
        return command


def of(page: Path) -> list[Block]:
    """The blocks of a page, in their order; directives, such as `{toctree}`, are none."""
    blocks: list[Block] = []
    lines = iter(enumerate(page.read_text("utf-8").splitlines(), 1))
    above: list[str] = []
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            above = [*above, line] if line.strip() else []
            continue
        indent = len(line) - len(line.lstrip())
        text = "".join(f"{inner[indent:]}\n" for inner in _until(fence[1], lines))
        if not fence[2].startswith("{"):
            blocks.append(Block(page, number, fence[2], text, _notes(above)))
        above = []
    return blocks


def _until(fence: str, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == fence:
            return
        yield line


def _notes(above: list[str]) -> dict[str, str]:
    notes: dict[str, str] = {}
    for line in reversed(above):
        if (comment := _COMMENT.fullmatch(line.strip())) is not None:
            notes[comment[1]] = comment[2]
        elif (file := _FILE.fullmatch(line.strip())) is not None:
            notes["file"] = file[1]
        else:
            break
    return notes


if __name__ == "__main__":
    every = [block for page in PAGES for block in of(page)]
    counted = Counter((block.language or "shown", block.runs) for block in every)
    for (language, runs), number in sorted(counted.items()):
        print(f"{number:4} {language:10} {'run' if runs else 'not run'}")
    for block in every:
        if "not run" in block.notes:
            print(f"{block}: {block.notes['not run']}")
