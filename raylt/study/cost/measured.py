"""What recipes cost on this machine: measured once, and kept beside the studies."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raylt.recipe import Recipe
from raylt.schema import InputError
from raylt.trial.cost.cost import Cost

_FILE = "measured.json"


def stored(
    recipes: Sequence[Recipe], *, runs: Path, threads: int, gpu: bool
) -> list[tuple[Recipe, Cost]]:
    """The recipes that were measured on a machine of this name before.

    Raises:
        InputError: what is kept cannot be read.
    """
    kept = _read(runs)
    pairs = ((recipe, kept.get(_key(recipe, threads, gpu))) for recipe in recipes)
    return [(recipe, Cost(**values)) for recipe, values in pairs if values is not None]


def measured(
    recipes: Sequence[Recipe],
    *,
    runs: Path,
    threads: int,
    gpu: bool,
    say: Callable[[str], None],
    how: Callable[[Recipe], Cost],
) -> list[tuple[Recipe, Cost]]:
    """Measure recipes on this machine one after the other, and keep what it costs.

    Args:
        recipes: What to measure; it is measured anew even if that was done before.
        say: Takes a line for each recipe.

    Raises:
        EnvironmentError: one of them does not run here.
    """
    costs: list[tuple[Recipe, Cost]] = []
    for number, recipe in enumerate(recipes, start=1):
        say(
            f"measuring a few steps, {number} of {len(recipes)}: batch size "
            f"{recipe.optimizer.batch_size}, {recipe.encoder}"
        )
        cost = how(recipe)
        costs.append((recipe, cost))
        _keep(cost, runs=runs, key=_key(recipe, threads, gpu))
    return costs


def _keep(cost: Cost, *, runs: Path, key: str) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    # Several studies may measure at once, and none may lose what another has just written.
    with (runs / f"{_FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        values = {**_read(runs), key: dataclasses.asdict(cost)}
        draft = runs / f"{_FILE}.part"
        draft.write_text(json.dumps(values, indent=1), "utf-8")
        draft.replace(runs / _FILE)


def _read(runs: Path) -> dict[str, Any]:
    path = runs / _FILE
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} must hold what recipes cost, but cannot be read: {error}; remove it, and "
            f"measure again with `raylt check FILE --measure`"
        ) from None


def _key(recipe: Recipe, threads: int, gpu: bool) -> str:
    """The recipe on a machine of this name, with a GPU or without."""
    return f"{socket.gethostname()} {'gpu' if gpu else f'cpu {threads}'} {recipe.digest}"
