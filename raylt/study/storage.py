"""The SQLite file of a study."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import optuna
from sqlalchemy import event

_NETWORK = ("nfs", "lustre", "cifs", "smb", "ceph", "gpfs", "beegfs", "fuse", "9p", "afs", "gfs")


def opened(folder: Path) -> optuna.storages.RDBStorage:
    """Optuna's storage on `study.db` in a folder; made where it is missing."""
    # Optuna's informational lines would break into the live table.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder / 'study.db'}",
        # A reader such as `raylt status` may hold the file for a moment.
        engine_kwargs={"connect_args": {"timeout": 30}},
    )
    if not on_network(folder):
        # A commit costs a tenth in this mode, and readers never block the writer; it needs memory
        # shared by all who open the file, so it is for local disks only.
        event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
    return storage


def _write_ahead(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def on_network(path: Path) -> bool:
    """Whether a path lies on a file system that other machines see, as far as Linux tells."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
        mounts = {Path(line.split()[1]): line.split()[2] for line in lines}
        whole = path.resolve()
        kind = next((mounts[p] for p in (whole, *whole.parents) if p in mounts), "")
        return kind.startswith(_NETWORK)
    return False
