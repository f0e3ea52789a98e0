"""The SQLite file of a study, and what is wrong with it in words."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import Any

import optuna
import psutil
from sqlalchemy import event

from raylt import uris
from raylt.schema import EnvironmentError
from raylt.study.record.text import KEPT

FILE = "study.db"
WAIT = 30.0
"""Seconds that another process, such as `raylt status`, may hold the file."""
_FULL = 2**17
"""A disk with fewer free bytes takes no further page and its copy."""


def opened(folder: Path, *, write_ahead: bool) -> optuna.storages.RDBStorage:
    """Optuna's storage on the file of a folder; made where it is missing.

    Args:
        write_ahead: Whether commits go to a file beside it, which costs a tenth. Readers never
            block the writer then, but all who open it need memory that they share.

    Raises:
        EnvironmentError: the file cannot be used; whatever uses the storage later raises it too.
    """
    path = folder / FILE
    options: dict[str, Any] = {"connect_args": {"timeout": WAIT}}
    if is_fixed := path.is_file() and not _writable(path):
        options = {"creator": functools.partial(_reader, path)}
    with explained(path):
        storage = optuna.storages.RDBStorage(uris.sqlite(path), engine_kwargs=options)
    if write_ahead and not is_fixed:
        event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()

    # Optuna would wrap what goes wrong, with the statement and all its values.
    @event.listens_for(storage.engine, "handle_error")
    def _(context: object) -> None:
        error = getattr(context, "original_exception", None)
        if isinstance(error, sqlite3.Error) and (reason := trouble(error, path)):
            raise EnvironmentError(reason) from None

    return storage


def has_fact(folder: Path, key: str) -> bool:
    """Whether the study in a folder's file has a fact; in plain SQL, for opening the file through
    Optuna takes half a second and writes to it.

    Raises:
        EnvironmentError: the file cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return False
    with explained(path), contextlib.closing(_reader(path)) as database:
        table = "study_user_attributes"
        # An empty file has none, nor has one whose making was cut short.
        query = "SELECT 1 FROM sqlite_master WHERE name = ?"
        if database.execute(query, (table,)).fetchone() is None:
            return False
        query = f"SELECT 1 FROM {table} WHERE key = ?"
        return database.execute(query, (key,)).fetchone() is not None


def _writable(path: Path) -> bool:
    """Whether this user may write a file, and others beside it, as SQLite does."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, also where nothing can be written beside the file."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    beside = [path.with_name(f"{path.name}-{end}") for end in ("wal", "journal")]
    if not _writable(path) and _is_write_ahead(path) and not any(p.exists() for p in beside):
        # Nobody writes now; SQLite would make the memory that readers share with a writer.
        uri += "&immutable=1"
    return sqlite3.connect(uri, uri=True, timeout=WAIT, check_same_thread=False)


def _is_write_ahead(path: Path) -> bool:
    """Whether commits go to a file beside it: two bytes of the header say so."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\x02\x02"


@contextlib.contextmanager
def explained(path: Path) -> Generator[None]:
    """Raise what goes wrong with a file in a `with` as an `EnvironmentError` that says so."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = cause.__cause__ or cause.__context__
        if cause is not None and (reason := trouble(cause, path)):
            raise EnvironmentError(reason) from None
        raise


def trouble(error: sqlite3.Error, path: Path) -> str:
    """What is wrong with a file and what to do; "" where the error is not the file's."""
    name = getattr(error, "sqlite_errorname", "") or ""
    full = "SQLITE_FULL" in name or ("SQLITE_IOERR" in name and _free(path) < _FULL)
    if full or ("SQLITE_CANTOPEN" in name and _free(path) < _FULL):
        return f"no space is left on the disk of {path}; {KEPT}; free some"
    if "SQLITE_BUSY" in name or "SQLITE_LOCKED" in name:
        return f"{path} must be free, but it is locked by {_holders(path)}; end that"
    if "SQLITE_READONLY" in name or "SQLITE_CANTOPEN" in name or "SQLITE_PERM" in name:
        if path.is_file() and not _writable(path):
            return (
                f"{path.parent} must be writable for this, but is not: {error}; copy it into a "
                f"folder that is, and name that with --runs"
            )
        return f"{path} must be a file that can be written, but is not: {error}"
    if "SQLITE_IOERR" in name:
        return (
            f"the disk of {path} does not answer as it must: {error}; look into the system's log"
        )
    # A table that is missing is damage, too: Optuna makes all of them at once.
    damaged = "SQLITE_CORRUPT" in name or "SQLITE_NOTADB" in name or "no such" in str(error)
    return damage(path, path.parent, str(error)) if damaged else ""


def damage(database: object, folder: Path, reason: str) -> str:
    """That a study's database is damaged, and what in its folder is not."""
    trials = folder / "trials"
    count = sum(1 for _ in trials.glob("*/epochs.jsonl"))
    message = " ".join(reason.split())[:200]
    return (
        f"the study's database {database} is damaged ({message}); restore it "
        f"from a copy. What {count} trials reported (epochs.jsonl) and their checkpoints are in "
        f"{trials}"
    )


def _write_ahead(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _free(path: Path) -> int:
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path.parent).free
    return _FULL


def _holders(path: Path) -> str:
    """The other processes that have a file open, as far as this user may see them."""
    names: list[str] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(
                Path(file.path) == path.resolve() for file in process.open_files()
            ):
                names.append(f"{process.name()} (process {process.pid})")
    return ", ".join(names) or "another process"
