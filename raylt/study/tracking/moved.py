"""MLflow's files after a folder of runs was moved or copied: its database finds them again.

MLflow keeps the place of every artifact as an absolute URI, and would go on writing to the old
place. The database beside the artifacts is healed whenever it is opened, so that any MLflow reads
it afterwards, whatever its working folder is.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import unquote

ARTIFACTS = "artifacts"
"""The folder of MLflow's files, beside its database."""
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Where MLflow 3.17 keeps the place of an artifact."""


def heal(database: Path) -> None:
    """Let a database name the artifacts beside it where it names those of another place.

    Args:
        database: MLflow's SQLite file; `artifacts` lies beside it, a folder for each study.
    """
    here = (database.parent / ARTIFACTS).resolve()
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        table = "SELECT 1 FROM sqlite_master WHERE name = 'experiments'"
        if connection.execute(table).fetchone() is None:
            return  # MLflow has not made its tables yet.
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        for old in {base for (place,) in rows if (base := _elsewhere(place, here))}:
            for table, column in _COLUMNS:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column}, 1, ?) = ?",
                    (f"{here.as_uri()}/", len(old) + 1, len(old), old),
                )


def _elsewhere(place: str | None, here: Path) -> str:
    """What the place of a study's artifacts begins with, up to the study's name, where that is
    not the folder beside the database but the study is there; else ""."""
    base, mark, name = (place or "").rpartition(f"/{ARTIFACTS}/")
    old = f"{base}{mark}"
    is_file = old.startswith("file://") and old != f"{here.as_uri()}/"
    known = (here / unquote(name), here.parent / unquote(name))
    return old if is_file and name and any(folder.is_dir() for folder in known) else ""
