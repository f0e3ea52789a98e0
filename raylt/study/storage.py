"""The SQLite file of a study."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from sqlalchemy import event, text

from raylt.schema import EnvironmentError

WHOLE = "whole"
"""The fact that is written last when a study is made."""
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


def rewrite(
    storage: optuna.storages.RDBStorage,
    distributions: Mapping[str, BaseDistribution],
    facts: Mapping[str, Any],
) -> None:
    """Say that all trials drew from other distributions, and change facts; all in one moment.

    Optuna has no such call: it refuses a choice that was added, and leaves a range that was
    widened out of what it models jointly.

    Args:
        storage: It holds one study.
        distributions: By the name of the parameter; each must contain the values there are.
        facts: Attributes of the study, plain JSON.
    """
    with storage.engine.begin() as database:
        rows = database.execute(
            text("SELECT param_id, param_name, param_value, distribution_json FROM trial_params")
        ).fetchall()
        for key, name, value, law in rows:
            new = distributions[name]
            external = json_to_distribution(law).to_external_repr(value)
            database.execute(
                text("UPDATE trial_params SET param_value = :value, distribution_json = :law "
                     "WHERE param_id = :key"),
                {"value": new.to_internal_repr(external), "law": distribution_to_json(new),
                 "key": key},
            )  # fmt: skip
        for name, fact in facts.items():
            where = {"name": name, "value": json.dumps(fact)}
            changed = database.execute(
                text("UPDATE study_user_attributes SET value_json = :value WHERE key = :name"),
                where,
            )
            if not changed.rowcount:
                database.execute(
                    text("INSERT INTO study_user_attributes (study_id, key, value_json) "
                         "SELECT study_id, :name, :value FROM studies"),
                    where,
                )  # fmt: skip


def on_network(path: Path) -> bool:
    """Whether a path lies on a file system that other machines see, as far as Linux tells."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
        mounts = {Path(line.split()[1]): line.split()[2] for line in lines}
        whole = path.resolve()
        kind = next((mounts[p] for p in (whole, *whole.parents) if p in mounts), "")
        return kind.startswith(_NETWORK)
    return False


def studies(runs: Path) -> tuple[str, ...]:
    """Names of the studies in a folder of runs."""
    return tuple(sorted(path.parent.name for path in runs.glob("*/study.db")))


def exists(folder: Path) -> bool:
    """Whether a folder holds a study whose making was not cut short.

    Raises:
        EnvironmentError: the database cannot be read.
    """
    path = folder / "study.db"
    if not path.is_file():
        return False
    try:
        # Plain SQL: opening the file through Optuna takes half a second and writes to it.
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as database:
            found = database.execute(
                "SELECT 1 FROM study_user_attributes WHERE key = ?", (WHOLE,)
            ).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return False
        raise _damaged(path, error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, error) from error
    return found is not None


def _damaged(path: Path, error: Exception) -> EnvironmentError:
    return EnvironmentError(
        f"the study's database must be readable, but {path} is not: {error}; restore it from a "
        f"copy"
    )
