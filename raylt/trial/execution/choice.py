"""How the steps of a run are computed, and what was measured to choose it; imports no torch."""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from raylt import scratch
from raylt.recipe import Recipe

FILE = "execution.json"
"""The file in a trial's folder."""

Precision = Literal["float32", "bfloat16"]
Layout = Literal["channels_last", "contiguous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How the steps of a run are computed; the choices change the last digits of its numbers."""

    machine: str
    """Kind of the processor or GPU."""
    step: str
    """What is computed: method, encoder, size and images of a step."""
    precision: Precision
    layout: Layout
    """How images lie in memory."""
    threads: int
    """Threads of torch; 0 on a GPU."""
    compile: bool
    """Whether the step is one compiled program."""
    ratios: Mapping[str, float] = field(default_factory=dict[str, float])
    """How many times as fast each alternative was, by its name, in the order of the trials; empty
    where nothing was measured."""

    @property
    def plain(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """The choices in words, with what was measured."""
        words = [self.precision, self.layout.replace("_", "-")]
        if self.threads:
            words.append(f"{self.threads} thread{'' if self.threads == 1 else 's'}")
        if self.compile:
            words.append("compiled")
        ratios = ", ".join(f"{name} {ratio:.2f}x" for name, ratio in self.ratios.items())
        return f"{', '.join(words)} ({f'measured: {ratios}' if ratios else 'not measured'})"


def parse(values: Mapping[str, Any]) -> Execution:
    """The execution of plain values; what a newer raylt adds is passed over."""
    fields = Execution.__dataclass_fields__
    return Execution(**{name: value for name, value in values.items() if name in fields})


def write(folder: Path, execution: Execution) -> None:
    """Write it down in a trial's folder, where it is not there yet."""
    if read(folder / FILE) == execution:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with scratch.draft(folder / FILE) as draft:
        draft.write_text(json.dumps(execution.plain, indent=1), "utf-8")


def read(path: Path) -> Execution | None:
    """The execution in a file, or None where there is none or the file is damaged."""
    try:
        return parse(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def processor() -> str:
    """The model of this machine's processor, as far as the system names it."""
    facts: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            facts[name.strip()] = value.strip()
    name = facts.get("model name") or platform.processor() or platform.machine()
    # Virtual machines name the maker alone, so that the numbers must tell.
    numbers = [f"{key} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def step_of(recipe: Recipe, images: int) -> str:
    """What is computed, for the same answer to the same question.

    Batches between two powers of two count as the smaller: a search over the batch size would
    otherwise ask anew in every trial.
    """
    shared = 2 ** (images.bit_length() - 1)
    return f"{recipe.method.name}, {recipe.encoder}, {recipe.size} px, {shared} images"
