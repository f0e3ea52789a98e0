"""The MLflow UI over all studies of a folder, on this machine only."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raylt import printed, uris
from raylt.schema import EnvironmentError, InputError
from raylt.settings import Settings
from raylt.study.record import sqlite, studies
from raylt.study.tracking import moved, views

_LOOPBACK = "127.0.0.1"
_PATIENCE = 3
"""Seconds that a server has to end by itself."""


def serve(
    runs: Path,
    tracking_uri: str | None,
    port: int,
    *,
    study: str | None = None,
    storage: str | None = None,
    browse: bool = False,
) -> None:
    """Run an MLflow server over the runs, on this machine only, until Ctrl-C.

    Of a store that has a server the links are printed, and that is all.

    Args:
        tracking_uri: The store; None for the one in `runs`.

    Raises:
        InputError: there is nothing to show, or no such study.
        EnvironmentError: the port is taken, or the server fails.
    """
    store = runs / "mlflow.db"
    if tracking_uri is None and not store.exists():
        raise InputError(
            f"{store} must hold tracked runs, but does not exist; begin with "
            f"`raylt tune --space sdclr`, or name the folder with --runs"
        )
    uri = tracking_uri or uris.sqlite(store.resolve())
    linked = pages(runs, study, storage, uri)
    if uri.startswith(("http://", "https://")):
        server = uris.public(uri)
        if not linked:
            raise InputError(
                f"the tracking URI is a server with a UI of its own; open {server} in a browser"
            )
        links = _print_links(linked, server.rstrip("/"))
        if browse:
            _open(links[0])
        return
    _require_free(port)
    if file := uris.sqlite_file(uri):
        # MLflow itself tries for two minutes to open what it cannot.
        _require_database(file)
    if tracking_uri is None:
        moved.heal(store)
    command, environment = _server(uri, port, artifacts=runs / "artifacts")
    base = f"http://{_LOOPBACK}:{port}"
    print(f"starting MLflow over {runs} ...", flush=True)

    def told_when_up() -> None:
        _wait_until_up(base)
        print(f"MLflow shows {runs} on {base} (Ctrl-C ends it)", flush=True)
        links = _print_links(linked, base)
        first = links[0] if links else f"{base}/#/experiments?workflowType=machine_learning"
        if browse and not _open(first):
            print(
                f"From your own machine: ssh -L {port}:{_LOOPBACK}:{port} THIS-MACHINE", flush=True
            )

    threading.Thread(target=told_when_up, name="links", daemon=True).start()
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


def _server(uri: str, port: int, *, artifacts: Path) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of an MLflow server on this machine."""
    environment = {
        **os.environ,
        # The job runner would start eight more processes, which nothing here needs.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # No greetings, and no warnings meant for MLflow's authors.
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
        # MLflow's own choice too, but then it advises options that raylt does not have.
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{_LOOPBACK}:*,localhost:*",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", _LOOPBACK, "--port", str(port)]
    command += ["--app-name", "raylt", "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    # The URI may hold a password, and every user of the machine sees the words of a command.
    environment |= {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_REGISTRY_STORE_URI": uri}
    command += ["--artifacts-destination", artifacts.resolve().as_uri()]
    return command, environment


def pages(
    runs: Path, study: str | None, storage: str | None, uri: str
) -> tuple[str, dict[views.Kind, str]] | None:
    """The name of a study and the places of its pages in a store; None where it has none there."""
    name = study or _latest(runs)
    if name is None:
        return None
    try:
        record = studies.open_study(name, runs, storage)
    except (InputError, EnvironmentError):
        if study is None:
            return None  # Nobody asked for it; `raylt status` says what is wrong with it.
        raise
    with contextlib.closing(record):
        fact: dict[str, Any] = record.facts.get("mlflow:study", {})
        file = uris.sqlite_file(uri)
        here = _has_run(file, fact) if file else fact.get("uri") == uris.public(uri)
        places = views.links(record, fact) if here else {}
    if places:
        return name, places
    if study is not None:
        resume = printed.command("resume", [study], Settings(runs=runs, tracking_uri=uri))
        raise InputError(
            f"{uris.public(uri)} must hold the study {study!r}, but does not; `{resume}` sends it"
        )
    return None


def _latest(runs: Path) -> str | None:
    """The study of a folder that was written to last."""
    changed = {path.parent.name: path.stat().st_mtime for path in runs.glob(f"*/{sqlite.FILE}")}
    return max(changed, key=changed.__getitem__, default=None)


def _has_run(file: Path, fact: Mapping[str, Any]) -> bool:
    """Whether a database has the run of a study, wherever it was when that was written down."""
    _require_database(file)
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as database:
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone() is None:
            return False
        run = (fact.get("run", ""),)
        return (
            database.execute("SELECT 1 FROM runs WHERE run_uuid = ?", run).fetchone() is not None
        )


def _print_links(linked: tuple[str, dict[views.Kind, str]] | None, base: str) -> list[str]:
    """Print where a study's pages are on a server; returns the links."""
    if linked is None:
        return []
    name, places = linked
    links: list[str] = []
    for kind, place in places.items():
        links.append(f"{base}/{place}")
        print(f"{name}, {views.LABELS[kind]}:\n  {links[-1]}")
    sys.stdout.flush()
    return links


def _wait_until_up(base: str) -> None:
    """Wait until a server answers: a link that is clicked before shows an error."""
    while True:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{base}/health", timeout=1).close()
        time.sleep(0.3)


def _open(link: str) -> bool:
    """Open a link in a browser; returns whether there is one."""
    if not (opened := webbrowser.open(link)):
        print("No browser was found on this machine: open the first link in yours.", flush=True)
    return opened


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
