"""Paths that a user names: where they may lead, and how they are shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from raylt.schema import InputError

_NAMED = 20
"""Entries that one message names at most."""


def expanded(path: Path | str) -> Path:
    """A path in which `~` is the user's folder; `~` of an unknown user stays as it is."""
    # `Path.expanduser` ends in a RuntimeError there.
    return Path(os.path.expanduser(path))


def below(root: Path, name: str, key: str) -> Path:
    """The path of a file or folder that a space names, which must lie below the data root.

    Links of the user's own may lead elsewhere.

    Raises:
        InputError: the path leads out of the root.
    """
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(os.path.normpath(root)):
        raise InputError(
            f"data.{key} must lie below the data root {root}, but is {name!r}; name a folder "
            "above it with --data, or put a link to it there"
        )
    return path


def shown(path: str | Path) -> str:
    """A path that can be printed, whatever bytes are in its name."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def listing(entries: Sequence[str]) -> str:
    """Entries for a message, a line each: the first 20, and how many more there are."""
    more = [f"and {len(entries) - _NAMED} more"] if len(entries) > _NAMED else []
    return "\n".join(f"  {entry}" for entry in [*entries[:_NAMED], *more])
