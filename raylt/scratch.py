"""What a process writes before anybody may read it: private folders for the time that it runs, and
drafts of files.

A process that is killed leaves its folder behind. The next one that makes one sweeps it away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from raylt.schema import EnvironmentError

_PREFIX = "raylt-"
_LOCK = "owner.lock"
"""A process holds its lock as long as it lives."""
_KEPT = 86400.0
"""Seconds that what `keep` has put aside is kept."""
_RANDOM = 8
"""Characters that `tempfile` puts behind a prefix."""
_ASIDE = "-logs"
_OWN = re.compile(rf"{_PREFIX}[a-z]+-[a-z0-9_]{{{_RANDOM}}}(?P<aside>{_ASIDE})?")
"""The name of a folder that was made here."""
VARIABLES = ("RAY_TMPDIR", "TMPDIR", "TEMP", "TMP")
_open: set[Path] = set()
"""The folders of this process."""


@contextlib.contextmanager
def folder(purpose: str, *, longest: int = 4096) -> Generator[Path]:
    """A folder that only this user can enter, for the time of a `with`.

    Args:
        purpose: A word in its name.
        longest: Characters that its path may have.

    Raises:
        EnvironmentError: there is no folder of temporary files in which one can be made.
    """
    where = place(purpose, longest=longest)
    _sweep(where)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=where))
    _open.add(made)
    try:
        with (made / "new.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Under its name a lock is held from the first moment on.
            Path(lock.name).rename(made / _LOCK)
            yield made
    finally:
        # A process that is about to end may still write there.
        shutil.rmtree(made, ignore_errors=True)
        _open.discard(made)


@contextlib.contextmanager
def draft(path: Path) -> Generator[Path]:
    """A file for the body of a `with` to write, which takes the place of `path` once it is whole;
    where the body fails, `path` stays as it was."""
    file = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.draft")
    try:
        yield file
        file.replace(path)
    finally:
        file.unlink(missing_ok=True)


def remove() -> None:
    """Remove the folders of this process, before it ends in the middle of their `with`s."""
    for made in list(_open):
        shutil.rmtree(made, ignore_errors=True)


def keep(logs: Path, made: Path) -> Path:
    """Put logs aside for a day, out of a folder that is about to be removed; says where."""
    kept = made.with_name(made.name + _ASIDE)
    with contextlib.suppress(OSError):
        logs.rename(kept)
    return kept


def place(purpose: str, *, longest: int = 4096) -> Path:
    """The folder of temporary files, or another one where its path is too long or not writable.

    Raises:
        EnvironmentError: there is none.
    """
    most = longest - len(f"/{_PREFIX}{purpose}-") - _RANDOM
    reasons: list[str] = []
    for name in candidates():
        if reason := _unusable(name, most):
            reasons.append(f"{name} {reason}")
        else:
            return Path(name)
    raise EnvironmentError(
        f"a folder of temporary files must be writable and its path at most {most} characters "
        f"long, but {'; '.join(reasons)}; make one and name it with RAY_TMPDIR, as in "
        f"RAY_TMPDIR=/tmp"
    )


def candidates() -> list[str]:
    """The folders of temporary files that the user has set, then those of the system."""
    chosen = [os.environ[name] for name in VARIABLES if os.environ.get(name)]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return list(dict.fromkeys([*chosen, "/tmp", "/var/tmp", *([runtime] if runtime else [])]))


def _unusable(name: str, most: int) -> str:
    """Why a folder cannot be used, or ""."""
    if not os.path.isabs(name):
        return "is not an absolute path"
    if len(os.fsencode(name)) > most:
        return f"has {len(os.fsencode(name))} characters"
    try:
        with tempfile.TemporaryFile(dir=name):
            return ""
    except OSError as error:
        return f"cannot be written ({error.strerror})"


def _sweep(where: Path) -> None:
    """Remove the folders that processes of this user have left there."""
    for path in where.glob(f"{_PREFIX}*"):
        own = _OWN.fullmatch(path.name)
        with contextlib.suppress(OSError):
            stat = path.lstat()
            age = time.time() - stat.st_mtime
            if own is None or stat.st_uid != os.getuid() or path.is_symlink():
                continue
            if age > _KEPT if own["aside"] else _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    """Whether a folder has a lock that nobody holds."""
    try:
        with (path / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except (BlockingIOError, FileNotFoundError):
        return False
