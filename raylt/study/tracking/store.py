"""MLflow's store in a SQLite file, which is made as a whole or not at all."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mlflow import MlflowClient

_PREFIX = "sqlite:///"


def made(uri: str) -> str:
    """The URI of a store; one in a file is made first where it is missing.

    MLflow makes its tables in many steps, and it never opens again a file whose maker was killed
    between two of them.
    """
    path, mark, options = uri.removeprefix(_PREFIX).partition("?")
    if not uri.startswith(_PREFIX) or path in ("", ":memory:"):
        return uri
    file = Path(path)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        # Of two searches that begin at once, the second finds the store of the first.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not file.exists():
            draft = file.with_name(f".{file.name}.draft")
            for left in file.parent.glob(f"{draft.name}*"):
                left.unlink()
            MlflowClient(tracking_uri=f"{_PREFIX}{draft}{mark}{options}")
            draft.replace(file)
    finally:
        os.close(folder)
    return uri
