"""What sweep files of Weights & Biases and of Hydra say, in the words of a space file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from raylt import recipe
from raylt.schema import InputError
from raylt.space.file import document
from raylt.space.file.document import Document, Keys
from raylt.space.file.explain import shown
from raylt.space.names import study_name
from raylt.space.plan import METRICS

_WANDB_SAMPLERS = {"bayes": "tpe", "random": "random", "grid": "grid"}
_HYDRA_SAMPLERS = {
    "TPESampler": "tpe",
    "RandomSampler": "random",
    "GridSampler": "grid",
    "CmaEsSampler": "cmaes",
    "NSGAIISampler": "nsga2",
    "GPSampler": "gp",
}
_CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)


@dataclass(slots=True)
class Sweep:
    """What a foreign file says, in the words of a space file."""

    values: dict[str, Any] = field(default_factory=dict)
    """Name of a hyperparameter -> its value, or the mapping of an open leaf."""
    places: dict[str, Keys] = field(default_factory=dict)
    """Where each name stands."""
    study: dict[str, Any] = field(default_factory=dict)
    """Dotted key of the study -> value."""
    notes: list[str] = field(default_factory=list)
    """What has no counterpart and was left out."""


def read(found: Document) -> Sweep:
    """Read a sweep file.

    Raises:
        InputError: it is none, or says what has no counterpart.
    """
    if isinstance(found.values.get("parameters"), dict):
        return _wandb(found)
    hydra = found.values.get("hydra")
    if isinstance(hydra, dict) and isinstance(hydra.get("sweeper"), dict):
        return _hydra(found)
    raise InputError(
        f"{found.source}: a sweep file must have `parameters` (Weights & Biases) or "
        f"`hydra.sweeper` (Hydra), but its keys are {', '.join(found.values)}; see `raylt space "
        f"import --help`"
    )


# Weights & Biases


def _wandb(found: Document) -> Sweep:
    sweep = Sweep()
    values = found.values
    _wandb_parameters(found, ("parameters",), "", sweep)
    simple: dict[str, Callable[[Any], Any]] = {
        "run_cap": lambda cap: ("trials", cap),
        "method": lambda method: ("sampler.name", _WANDB_SAMPLERS.get(str(method))),
        "name": lambda name: ("name", _slug(name)),
    }
    for key, value in values.items():
        if key in simple:
            to, new = simple[key](value)
            if new is None:
                raise found.error(
                    (key,), f"must be one of {', '.join(_WANDB_SAMPLERS)}, but got {shown(value)}"
                )
            sweep.study[to] = new
        elif key in ("metric", "early_terminate") and not isinstance(value, dict):
            raise found.error((key,), f"must be a mapping, but got {shown(value)}")
        elif key == "metric":
            _objective(value.get("name"), value.get("goal"), sweep)
        elif key == "early_terminate":
            sweep.study["scheduler.name"] = "hyperband"
            sweep.study |= {
                f"scheduler.{ours}": value[theirs]
                for theirs, ours in (("min_iter", "grace"), ("eta", "factor"))
                if theirs in value
            }
        elif key != "parameters":
            sweep.notes.append(f"{key} has no counterpart and is left out")
    return sweep


def _wandb_parameters(found: Document, keys: Keys, prefix: str, sweep: Sweep) -> None:
    for name, given in found.at(keys).items():
        here = (*keys, name)
        if not isinstance(given, dict):
            raise found.error(here, f"must be a mapping, but got {shown(given)}")
        if "parameters" in given:
            _wandb_parameters(found, (*here, "parameters"), f"{prefix}{name}.", sweep)
            continue
        sweep.places[prefix + name] = here
        sweep.values[prefix + name] = _wandb_leaf(found, here, given, sweep.notes)


def _wandb_leaf(found: Document, keys: Keys, given: Mapping[str, Any], notes: list[str]) -> Any:
    low: Any = given.get("min")
    high: Any = given.get("max")
    guessed = (
        "categorical"
        if "values" in given
        else "constant"
        if "value" in given
        else ("int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform")
    )
    law = given.get("distribution", guessed)
    if law == "constant":
        return given.get("value")
    if law in ("categorical", "categorical_w_probabilities"):
        if not isinstance(given.get("values"), list):
            raise found.error(keys, f"must have the list values, but got {shown(dict(given))}")
        if "probabilities" in given:
            notes.append(f"{keys[-1]}: its probabilities are left out, all choices are alike")
        return {"choices": given["values"]}
    if law not in (
        "int_uniform",
        "uniform",
        "q_uniform",
        "log_uniform",
        "log_uniform_values",
        "q_log_uniform",
        "q_log_uniform_values",
    ):
        raise found.error(
            keys, f"must have a distribution with two ends, but got {law}; give min and max"
        )
    step = given.get("q", 1)
    if not _number(low) or not _number(high) or not _number(step) or step <= 0:
        raise found.error(keys, f"must have the numbers min and max, but got {shown(dict(given))}")
    if law in ("log_uniform", "q_log_uniform"):
        low, high = math.exp(low), math.exp(high)
    if law == "int_uniform":
        return {"low": low, "high": high}
    if law == "q_uniform":
        return _stepped(low, high, step)
    if law.startswith("q_"):
        notes.append(f"{keys[-1]}: its q is left out, since a log scale has no steps")
    log = {"log": True} if "log" in law else {}
    return {"low": float(low), "high": float(high), **log}


def _stepped(low: float, high: float, step: float) -> dict[str, Any]:
    """The multiples of `step` between two ends."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Products such as 3 * 0.1 are rounded to what the file would say.
    return {"low": round(first * step, 12), "high": round(last * step, 12), "step": step}


def _number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


def _slug(name: Any) -> str:
    try:
        return study_name(str(name))
    except ValueError as error:
        return str(error).rpartition("for example ")[2].strip("'")


def _objective(metric: Any, goal: Any, sweep: Sweep) -> None:
    if metric not in METRICS:
        sweep.notes.append(f"the metric {metric} is not one of raylt's: study.objective is kept")
    elif goal not in (None, METRICS[metric]):
        sweep.notes.append(f"the goal {goal} does not fit {metric}: study.objective is kept")
    else:
        sweep.study["objective"] = metric


# Hydra


def _hydra(found: Document) -> Sweep:
    sweep = Sweep()
    sweeper = found.at(("hydra", "sweeper"))
    for section in ("params", "search_space"):
        named = sweeper.get(section) or {}
        if not isinstance(named, dict):
            keys = ("hydra", "sweeper", section)
            raise found.error(keys, f"must be a mapping, but got {shown(named)}")
        for name, given in named.items():
            keys: Keys = ("hydra", "sweeper", section, name)
            sweep.places[name] = keys
            sweep.values[name] = _hydra_leaf(found, keys, given)
    if sweeper.get("n_trials") is not None:
        sweep.study["trials"] = sweeper["n_trials"]
    if sweeper.get("study_name") is not None:
        sweep.study["name"] = _slug(sweeper["study_name"])
    sampler = sweeper.get("sampler")
    if isinstance(sampler, dict):
        _hydra_sampler(found, sampler, sweep)
    fixed = {k: v for k, v in found.values.items() if k not in ("hydra", "defaults")}
    for name, value in recipe.flat(fixed).items():
        if name not in sweep.values:
            sweep.notes.append(
                f"{name}: {shown(value)} is left out: set it in the base if it counts"
            )
    return sweep


def _hydra_sampler(found: Document, sampler: Mapping[str, Any], sweep: Sweep) -> None:
    name = str(sampler.get("_target_", "")).rpartition(".")[2]
    if name:
        if name not in _HYDRA_SAMPLERS:
            raise found.error(
                ("hydra", "sweeper", "sampler", "_target_"),
                f"must be one of {', '.join(_HYDRA_SAMPLERS)}, but got {shown(name)}",
            )
        sweep.study["sampler.name"] = _HYDRA_SAMPLERS[name]
    for theirs, ours in (("seed", "seed"), ("n_startup_trials", "startup")):
        if sampler.get(theirs) is not None:
            sweep.study[f"sampler.{ours}"] = sampler[theirs]


def _hydra_leaf(found: Document, keys: Keys, given: Any) -> Any:
    if isinstance(given, dict):
        if given.get("type") == "categorical":
            return {"choices": given.get("choices")}
        known = ("low", "high", "step", "log")
        return {k: given[k] for k in known if given.get(k) is not None and given[k] is not False}
    if isinstance(given, list):
        return {"choices": given}
    if not isinstance(given, str):
        return given
    try:
        return _hydra_sweep(given.strip(), whole=False, log=False)
    except ValueError as error:
        raise found.error(
            keys,
            f"must be choice(...), range(...), interval(...) or values with commas, but {error}; "
            f"write it in one of these forms",
        ) from None


def _hydra_sweep(text: str, *, whole: bool, log: bool) -> Any:
    call = _CALL.fullmatch(text)
    if call is None:
        items = [_scalar(item) for item in text.split(",")]
        return {"choices": items} if len(items) > 1 else items[0]
    name, inside = call[1], call[2]
    if name in ("int", "float", "shuffle"):
        return _hydra_sweep(inside.strip(), whole=name == "int" or whole, log=log)
    if name == "tag":
        tags, _, rest = _tagged(inside)
        return _hydra_sweep(rest, whole=whole, log=log or "log" in tags)
    if name not in ("choice", "range", "interval"):
        raise ValueError(f"got {text!r}")
    items = [_scalar(item.partition("=")[2] or item) for item in inside.split(",")]
    if name == "choice":
        return {"choices": items}
    if not all(_number(item) for item in items):
        raise ValueError(f"got {text!r}, whose ends are no numbers")
    if name == "range" and len(items) in (2, 3):
        # Hydra's Optuna sweeper includes the end of a range that its steps reach.
        step = items[2] if len(items) == 3 else 1
        if step <= 0:
            raise ValueError(f"got {text!r}, whose step is not > 0")
        last = items[0] + math.floor((items[1] - items[0]) / step + 1e-9) * step
        return {"low": items[0], "high": last, **({} if step == 1 else {"step": step})}
    if name == "interval" and len(items) == 2:
        low, high = (int(x) if whole else float(x) for x in items)
        return {"low": low, "high": high, **({"log": True} if log else {})}
    raise ValueError(f"got {text!r}")


def _tagged(inside: str) -> tuple[set[str], str, str]:
    """`log, interval(1, 2)` -> the tags and what is tagged."""
    head = inside[: inside.index("(")] if "(" in inside else inside
    comma = head.rpartition(",")
    return {tag.strip() for tag in comma[0].split(",")}, ",", inside[len(comma[0]) + 1 :].strip()


def _scalar(text: str) -> Any:
    return document.value(text.strip(), "a sweep's value")
