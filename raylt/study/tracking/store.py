"""MLflow's store: its URI, whether it answers, and a SQLite file created wholly or not at all."""

from __future__ import annotations

import fcntl
import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from raylt import uris
from raylt.schema import EnvironmentError, InputError
from raylt.study.tracking import moved

_PING = 4.0
"""Seconds in which a server must say anything at all."""


def ensure(uri: str) -> str:
    """The URI of a store; a SQLite file is created where it is missing, and finds the artifacts
    beside it where it was moved with them.

    MLflow creates its tables in many steps, and cannot open a file again whose creation was
    killed between two of them.
    """
    # It takes seconds to import.
    from mlflow import MlflowClient

    file = uris.sqlite_file(uri)
    if file is None:
        return uri
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        # Of two searches that begin at once, the second uses the store of the first.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not file.exists():
            draft = file.with_name(f".{file.name}.draft")
            for left in file.parent.glob(f"{draft.name}*"):
                left.unlink()
            MlflowClient(tracking_uri=uris.sqlite(draft))
            draft.replace(file)
        moved.heal(file)
    finally:
        os.close(folder)
    return uri


def default_uri(runs: Path) -> str:
    """The store for all studies of a folder of runs."""
    return uris.sqlite(runs.resolve() / "mlflow.db")


def require_reachable(uri: str) -> None:
    """Refuse a store that does not answer, before anything that takes long.

    Raises:
        InputError: it is no URI.
        EnvironmentError: it does not.
    """
    try:
        uris.require_readable(uri)
    except ValueError as error:
        raise InputError(f"--tracking-uri: {error}") from None
    trouble = sqlite_trouble(uri)
    if trouble is None and uri.startswith(("http://", "https://")):
        address = uris.public(uri).partition("?")[0].rstrip("/")
        try:
            urllib.request.urlopen(f"{address}/health", timeout=_PING).close()
        except urllib.error.HTTPError:
            # Whatever it answers, it is there; MLflow's own client reports the rest.
            pass
        except (OSError, ValueError, http.client.HTTPException) as error:
            # A certificate that this one request does not know may be known to MLflow's client.
            if not isinstance(getattr(error, "reason", error), ssl.SSLError):
                trouble = uris.redacted(line(error), [uri])
    if trouble:
        raise unreachable(uris.public(uri), trouble)


def unreachable(uri: str, trouble: str) -> EnvironmentError:
    """The error of a store that does not answer."""
    return EnvironmentError(
        f"MLflow must be reachable at {uri}, but is not: {trouble}; start it, choose another "
        f"store with --tracking-uri or MLFLOW_TRACKING_URI, or start without it by "
        f"--tracking-optional"
    )


def line(error: Exception) -> str:
    """What went wrong, in one line; of a connection only what the system said."""
    if match := re.search(r"\[Errno -?\d+\] [\w ]+|[Rr]ead timed out", str(error)):
        return match[0]
    # A database adds the statement and its values.
    message = str(error).partition("[SQL:")[0]
    return " ".join(f"{type(error).__name__}: {message}".split())[:300]


def sqlite_trouble(uri: str) -> str | None:
    """Why a SQLite file cannot be a store, "" if it can, None for any other kind of store."""
    file = uris.sqlite_file(uri)
    if file is None:
        return None
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return f"{file.parent} is not a writable folder"
    if file.exists():
        with file.open("rb") as content:
            head = content.read(16)
        if head and head != b"SQLite format 3\0":
            return f"{file} is not a SQLite database"
    return ""
