"""Measured choices that the trials of a folder of studies share: who measures first decides."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from pathlib import Path

from raylt.trial.execution.choice import Execution, read

FOLDER = ".execution"
"""Its name in the folder of all studies; no study can be called so."""

_shared: ContextVar[Path | None] = ContextVar("shared", default=None)


@contextlib.contextmanager
def shared_in(runs: Path) -> Generator[None]:
    """Keep what is measured in a `with` in a folder of studies, and take what is there."""
    token = _shared.set(runs / FOLDER)
    try:
        yield
    finally:
        _shared.reset(token)


def get(key: Mapping[str, object], measure: Callable[[], Execution | None]) -> Execution | None:
    """What was measured first for a key; measured now where nothing was, one process at a time.

    Args:
        key: Everything on which the answer depends.
        measure: Takes seconds; None where there was no time to measure anything.
    """
    folder = _shared.get()
    if folder is None:
        return measure()
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}.json"
    with _lock(path.with_suffix(".lock")):
        if (known := read(path)) is not None:
            return known
        measured = measure()
        if measured is None:
            return None
        _publish(path, {**key, **measured.plain})
    return read(path) or measured


def everything(runs: Path) -> tuple[Execution, ...]:
    """All that was measured, by machine and step."""
    choices = [read(path) for path in (runs / FOLDER).glob("*.json")]
    return tuple(
        sorted((c for c in choices if c is not None), key=lambda c: (c.machine, c.step, c.threads))
    )


@contextlib.contextmanager
def _lock(path: Path) -> Generator[None]:
    with path.open("w") as file:
        # A network folder may not lock: then two may measure at once, and the first one decides.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _publish(path: Path, content: Mapping[str, object]) -> None:
    """Write a file whole, unless a readable one is there by now."""
    draft = path.with_suffix(f".{os.uname().nodename}.{os.getpid()}.draft")
    draft.write_text(json.dumps(content, indent=1), "utf-8")
    try:
        os.link(draft, path)
    except FileExistsError:
        if read(path) is None:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
