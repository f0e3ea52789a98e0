"""The commands that messages name: complete, so that they run as pasted from the folder in which
they were printed, or from which the job was sent that printed them."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raylt import uris
from raylt.settings import Settings, flag, option_of
from raylt.space.file import bundled

SENDER = "RAYLT_SENDER"
"""The variable by which a job knows how raylt is called where it was sent from."""

TAKES: Mapping[str, tuple[str, ...]] = {
    "best": ("runs", "storage"),
    "check": ("runs", "data", "workers", "concurrent", "pack"),
    "compare": ("runs", "storage"),
    "doctor": ("address", "runs", "tracking_uri"),
    "export": ("runs", "data", "tracking_uri", "storage"),
    "get": ("data",),
    "init": ("data", "concurrent"),
    "logs": ("runs", "storage"),
    "report": ("runs", "storage"),
    "show": ("data",),
    "status": ("runs", "storage"),
    "table": ("runs", "storage"),
    "ui": ("runs", "tracking_uri", "storage"),
}
"""The settings that a verb has options for; the others have all, and `--cluster`."""


def command(verb: str, words: Sequence[str], settings: Settings) -> str:
    """A command on `words`, which may hold other options, with every setting that is not the
    default."""
    program, settings = _caller(settings)
    options: list[str] = []
    if settings.profile is not None and verb not in TAKES:
        options += ["--cluster", _shown(settings.profile)]
    for name, value in _chosen(settings, TAKES.get(verb)).items():
        # A path that is sent must be one of the cluster, whole.
        word = str(value) if _is_sent(settings) else _shown(value)
        options += [flag(name), *([] if value is True else [word])]
    return shlex.join([*program, verb, *words, *options])


def sender(settings: Settings) -> str:
    """What `SENDER` is to hold for a job that this process sends."""
    profile = settings.profile and Path(bundled.find(settings.profile, "clusters")).absolute()
    plain = {"address": settings.address, "profile": profile and str(profile)}
    return json.dumps({"program": _program(), **plain})


def _program() -> list[str]:
    """How this process was called: a shell that uses `uv run` may not know raylt itself."""
    return ["uv", "run", "raylt"] if "UV_RUN_RECURSION_DEPTH" in os.environ else ["raylt"]


def _caller(settings: Settings) -> tuple[list[str], Settings]:
    """How raylt is called, and the settings, where a command is pasted; in a job both are those of
    its sender."""
    if SENDER not in os.environ:
        return _program(), settings
    known = json.loads(os.environ[SENDER])
    profile = known["profile"] and Path(known["profile"])
    changes = {"address": known["address"], "profile": profile}
    return known["program"], settings.model_copy(update=changes)


def kept(settings: Settings) -> dict[str, Any]:
    """What a study remembers of its settings for later commands: plain values, absolute paths, no
    passwords."""
    _, settings = _caller(settings)
    # Another folder has another default for the data.
    values = {**_chosen(settings, None), "data": settings.data}
    if settings.profile is not None:
        values |= {"profile": settings.profile, "given": settings.given}
    plain = {name: value for name, value in values.items() if name not in ("runs", "quiet")}
    return {
        name: str(value.absolute()) if isinstance(value, Path) else value
        for name, value in plain.items()
    }


def _chosen(settings: Settings, names: Sequence[str] | None) -> dict[str, Any]:
    """The settings that are not what a command has without an option for them."""
    values: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        option, value = option_of(field), getattr(settings, name)
        # What the profile says is said by --cluster, which the verbs in TAKES do not have.
        by_profile = names is None and settings.profile and name not in settings.given
        if option is None or by_profile or value is None or (names and name not in names):
            continue
        both = (value, field.default)
        if not _is_sent(settings):
            both = tuple(x.absolute() if isinstance(x, Path) else x for x in both)
        if both[0] != both[1]:
            # User and password belong into variables of the environment.
            values[name] = uris.public(value) if option.credentials else value
    return values


def _is_sent(settings: Settings) -> bool:
    return (settings.address or "").startswith("http")


def _shown(value: Any) -> str:
    """A value as a word; a path below the working directory is named from there."""
    if isinstance(value, Path) and value.is_relative_to(Path.cwd()):
        return str(value.relative_to(Path.cwd()))
    return str(value)
