"""What recipes cost on this machine: measured once, and kept beside the studies."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raylt.recipe import Recipe
from raylt.schema import InputError
from raylt.study import machine
from raylt.trial.cost import Cost

_FILE = "measured.json"


def stored(recipes: Sequence[Recipe], *, runs: Path, threads: int) -> list[tuple[Recipe, Cost]]:
    """The recipes that were measured on a machine of this name before.

    Args:
        recipes: Whose cost is asked for.
        runs: Folder of all studies.
        threads: Threads of torch.

    Raises:
        InputError: what is kept cannot be read.
    """
    kept = _read(runs)
    found = ((recipe, kept.get(_key(recipe, threads))) for recipe in recipes)
    return [(recipe, Cost(**values)) for recipe, values in found if values is not None]


def measured(
    recipes: Sequence[Recipe], *, runs: Path, threads: int, say: Callable[[str], None],
    how: Callable[[Recipe], Cost],
) -> list[tuple[Recipe, Cost]]:  # fmt: skip
    """Measure recipes on this machine one after the other, and keep what was found.

    Args:
        recipes: What to measure; it is measured anew even if that was done before.
        runs: Folder of all studies.
        threads: Threads of torch.
        say: Takes a line for each recipe.
        how: Measures one.

    Raises:
        EnvironmentError: one of them does not run here.
    """
    found: list[tuple[Recipe, Cost]] = []
    for number, recipe in enumerate(recipes, start=1):
        say(f"measuring a few steps, {number} of {len(recipes)}: batch size "
            f"{recipe.optimizer.batch_size}, {recipe.encoder}")  # fmt: skip
        found.append((recipe, how(recipe)))
        _keep(found[-1], runs=runs, threads=threads)
    return found


def _keep(one: tuple[Recipe, Cost], *, runs: Path, threads: int) -> None:
    recipe, found = one
    runs.mkdir(parents=True, exist_ok=True)
    values = {**_read(runs), _key(recipe, threads): dataclasses.asdict(found)}
    draft = runs / f"{_FILE}.part"
    draft.write_text(json.dumps(values, indent=1), "utf-8")
    draft.replace(runs / _FILE)


def _read(runs: Path) -> dict[str, Any]:
    path = runs / _FILE
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(
            f"{path} must hold what recipes cost, but cannot be read: {error}; remove it, and "
            f"measure again with `raylt check FILE --measure`"
        ) from None


def _key(recipe: Recipe, threads: int) -> str:
    """The recipe on this machine: its name, whether GPUs are seen, and the threads."""
    return f"{socket.gethostname()} {machine.gpus()} {threads} {recipe.digest}"
