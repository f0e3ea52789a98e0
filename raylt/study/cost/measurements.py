"""What recipes cost on this machine: measured once, and kept beside the studies."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raylt import scratch
from raylt.recipe import Recipe
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.trial.cost.cost import Cost

_FILE = "measured.json"


def of_recipes(
    recipes: Sequence[Recipe],
    settings: Settings,
    *,
    gpu: bool,
    say: Callable[[str], None],
    how: Callable[..., Cost],
    anew: bool = False,
) -> list[tuple[Recipe, Cost]]:
    """What recipes cost on this machine, measured one after the other and kept.

    Args:
        recipes: What was measured on a machine of this name before is not measured again.
        say: Takes a line for each recipe that is measured.
        how: Measures one of them; takes what `raylt.trial.cost.cost.measure_apart` takes.
        anew: Whether all are measured again.

    Raises:
        InputError: what is kept cannot be read.
        EnvironmentError: one of them does not run here.
    """
    runs, threads = settings.runs, settings.cpus_per_worker
    machine = f"{socket.gethostname()} {'gpu' if gpu else f'cpu {threads}'}"
    kept = {} if anew else _read(runs)
    costs: list[tuple[Recipe, Cost]] = []
    missing: list[Recipe] = []
    for recipe in recipes:
        if (values := kept.get(f"{machine} {recipe.digest}")) is None:
            missing.append(recipe)
        else:
            costs.append((recipe, Cost(**values)))
    for number, recipe in enumerate(missing, start=1):
        say(
            f"measuring a few steps, {number} of {len(missing)}: batch size "
            f"{recipe.optimizer.batch_size}, {recipe.encoder}"
        )
        cost = how(recipe, root=settings.data, runs=runs, threads=threads, gpu=gpu)
        costs.append((recipe, cost))
        _keep(cost, runs=runs, key=f"{machine} {recipe.digest}")
    return costs


def _keep(cost: Cost, *, runs: Path, key: str) -> None:
    runs.mkdir(parents=True, exist_ok=True)
    # Several studies may measure at once, and none may lose what another has just written.
    with (runs / f"{_FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        values = {**_read(runs), key: dataclasses.asdict(cost)}
        with scratch.draft(runs / _FILE) as draft:
            draft.write_text(json.dumps(values, indent=1), "utf-8")


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
