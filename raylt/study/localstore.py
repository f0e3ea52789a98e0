"""MLflow's store in a SQLite file, which is made as a whole or not at all."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import sqlalchemy
from mlflow import MlflowClient


def made(uri: str) -> str:
    """The URI of a store, whose file is made first where it is missing.

    MLflow makes its tables in many steps, and it never opens again a file whose maker was killed
    between two of them.
    """
    url = sqlalchemy.make_url(uri)
    if url.database in (None, "", ":memory:"):
        return uri
    file = Path(url.database)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        # Of two searches that begin at once, the second finds the store of the first.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not file.exists():
            draft = file.with_name(f".{file.name}.draft")
            for left in file.parent.glob(f"{draft.name}*"):
                left.unlink()
            MlflowClient(tracking_uri=str(url.set(database=str(draft))))
            draft.replace(file)
    finally:
        os.close(folder)
    return uri
