"""The MLflow UI over all studies of a folder, on this machine only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

from raylt import uris
from raylt.schema import EnvironmentError, InputError
from raylt.study.tracking import moved

_LOOPBACK = "127.0.0.1"
_PATIENCE = 3
"""Seconds that a server has to end by itself."""


def serve(runs: Path, tracking_uri: str | None, port: int) -> None:
    """Run an MLflow server over the runs, on this machine only, until Ctrl-C.

    Raises:
        InputError: there is nothing to show.
        EnvironmentError: the port is taken, or the server fails.
    """
    store = runs / "mlflow.db"
    if tracking_uri is None and not store.exists():
        raise InputError(
            f"{store} must hold tracked runs, but does not exist; begin with `raylt tune`, or "
            f"name the folder with --runs"
        )
    if tracking_uri is not None and tracking_uri.startswith(("http://", "https://")):
        raise InputError(
            f"the tracking URI is a server with a UI of its own; open "
            f"{uris.public(tracking_uri)} in a browser"
        )
    _require_free(port)
    uri = tracking_uri or uris.sqlite(store.resolve())
    if file := uris.sqlite_file(uri):
        # MLflow itself tries for two minutes to open what it cannot.
        _require_database(file)
    if tracking_uri is None:
        moved.heal(store)
    environment = {
        **os.environ,
        # The job runner would start eight more processes, which nothing here needs.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # No greetings, and no warnings meant for MLflow's authors.
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", _LOOPBACK, "--port", str(port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    # The URI may hold a password, and every user of the machine sees the words of a command.
    environment |= {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_REGISTRY_STORE_URI": uri}
    command += ["--artifacts-destination", (runs / "artifacts").resolve().as_uri()]
    page = f"http://{_LOOPBACK}:{port}/#/experiments"
    print(f"MLflow shows {runs} on {page} (Ctrl-C ends it)", flush=True)
    # MLflow does not pass signals on to its children, so all of them are one process group.
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            code = server.wait()
        except KeyboardInterrupt:
            return
        finally:
            _end(server)
    raise EnvironmentError(
        f"MLflow's server must run until Ctrl-C, but it ended with code {code}; its messages "
        f"above say why"
    )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise EnvironmentError(
                f"port {port} must be free, but {error.strerror}; choose another with --port"
            ) from None


def _require_database(file: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master")
    except (sqlite3.DatabaseError, ValueError) as error:
        raise EnvironmentError(
            f"{file} must be MLflow's database, but SQLite says: {error}; restore it from a copy, "
            f"or name another one with --runs or --tracking-uri"
        ) from None


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server and its children, by SIGTERM and, if need be, by SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=_PATIENCE)
