"""A study of record on a PostgreSQL server, where any machine that reaches it may go on with it.

The URL holds a password, so it is given each time, on the command line or in OPTUNA_STORAGE, or it
is left to libpq (PGUSER, PGPASSWORD, ~/.pgpass). What raylt writes and shows is without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import socket
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy import URL, NullPool, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from raylt import threads, uris
from raylt.schema import EnvironmentError, InputError

VARIABLE = "OPTUNA_STORAGE"
_DRIVERS = ("psycopg2", "psycopg")
_ANSWER = 10
"""Seconds that the server may take to answer."""
PERIOD = 10.0
"""Seconds between two checks that a study is still locked."""
_ALIVE = {"keepalives": 1, "keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3}
"""So that a firewall does not drop a connection that waits for the next epoch."""


def parsed(given: str) -> URL:
    """The URL of a server, with the driver that is installed here.

    Raises:
        InputError: it is no URL of a PostgreSQL database.
        EnvironmentError: no driver for PostgreSQL is installed.
    """
    try:
        url = sqlalchemy.make_url(given)
    except (ArgumentError, ValueError):
        url = None
    backend, _, driver = url.drivername.partition("+") if url else ("", "", "")
    if url is None or backend != "postgresql" or not url.database or driver not in ("", *_DRIVERS):
        raise InputError(
            "--storage: must be a PostgreSQL database such as postgresql://HOST:5432/DATABASE, "
            f"but got {public(given) if url else 'no URL'}; leave it out to keep the study in "
            "its own folder"
        )
    installed = [name for name in _DRIVERS if importlib.util.find_spec(name)]
    if not installed or (driver and driver not in installed):
        raise EnvironmentError(
            f"a study on PostgreSQL needs {driver or _DRIVERS[0]}, which is not installed; "
            f"install it with `pip install 'raylt[postgres]'`"
        )
    return url.set(drivername=f"postgresql+{driver or installed[0]}")


def public(given: str) -> str:
    """The URL without driver, user, password and what else is secret."""
    scheme, mark, rest = uris.public(given).partition("://")
    return scheme.partition("+")[0] + mark + rest


def opened(given: str) -> optuna.storages.RDBStorage:
    """Optuna's storage on the server; its tables are made where they are missing.

    Raises:
        EnvironmentError: the server does not answer, or refuses access.
    """
    url = parsed(given)
    with answering(given), _session(url) as connection:
        # Two first drivers at once would make the same tables.
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _key("tables")})
        storage = optuna.storages.RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": {"connect_timeout": _ANSWER, **_ALIVE}},
        )
        with storage.engine.begin() as database:
            database.execute(text(_EPOCHS))
    return storage


_EPOCHS = """
CREATE TABLE IF NOT EXISTS raylt_epochs (
    study_id INTEGER NOT NULL REFERENCES studies (study_id) ON DELETE CASCADE,
    trial INTEGER NOT NULL, epoch INTEGER NOT NULL, entry TEXT NOT NULL,
    PRIMARY KEY (study_id, trial, epoch)
)
"""


def fact(given: str, study: str, name: str) -> str | None:
    """A fact of a study as JSON; None where there is no such study or no such fact.

    Raises:
        EnvironmentError: the server does not answer, or refuses access.
    """
    query = (
        "SELECT value_json FROM study_user_attributes JOIN studies USING (study_id) "
        "WHERE study_name = :study AND key = :name"
    )
    return next(iter(_column(given, query, study=study, name=name)), None)


@dataclass(frozen=True, slots=True)
class Driver:
    """The process that drives a study."""

    pid: int
    host: str
    question: str = ""
    """The verb that it answers by runs over fresh seeds; empty for one that runs the trials of the
    search, and where only the server tells."""

    def __str__(self) -> str:
        """In words; also the name of its connection to the server."""
        return f"process {self.pid} on {self.host}"


@dataclass(slots=True)
class Hold:
    """This process has locked a study."""

    lost: bool = False
    """Whether the lock was lost, so that another process may drive the study by now."""


@contextlib.contextmanager
def locked(given: str, study: str, *, go_on: str) -> Generator[Hold]:
    """Lock a study for one driver on any machine; the server releases it when the process ends.

    Args:
        go_on: What goes on with it where the connection was cut, for the message.

    Raises:
        EnvironmentError: another process has locked it, the server does not answer, or the
            connection was cut meanwhile.
    """
    hold = Hold()
    with contextlib.ExitStack() as stack:
        with answering(given):
            name = str(Driver(os.getpid(), socket.gethostname()))
            connection = stack.enter_context(_session(parsed(given), name))
            for setting, value in (("idle", 20), ("interval", 5), ("count", 3)):
                # By these the server notices that our machine has lost its power.
                connection.execute(text(f"SET tcp_keepalives_{setting} = {value}"))
            query = text("SELECT pg_try_advisory_lock(:key)")
            acquired = connection.execute(query, {"key": _key(study)}).scalar()
        if not acquired:
            raise EnvironmentError(
                f"study {study} is already running ({driver(given, study) or 'elsewhere'}); wait "
                f"for it, or interrupt it"
            )
        with threads.every(PERIOD, lambda: _check(connection, hold)):
            yield hold
        if hold.lost:
            raise EnvironmentError(
                f"the connection to {public(given)} that locked study {study} was cut, so this "
                f"process stopped; nothing is lost: go on with {go_on}"
            )


def _check(connection: Any, hold: Hold) -> None:
    """Whether the connection that locks a study is still open."""
    try:
        connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        hold.lost = True


def driver(given: str, study: str) -> Driver | None:
    """Who drives a study now, or None."""
    key = _key(study) % 2**64
    query = (
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE "
        "locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = :high AND "
        "objid::bigint = :low AND pg_locks.database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with answering(given), _session(parsed(given)) as connection:
        where = {"high": key >> 32, "low": key % 2**32}
        name = connection.execute(text(query), where).scalar()
    match = re.fullmatch(r"process (\d+) on (.+)", name or "")
    return Driver(int(match[1]), match[2]) if match else None


def studies(given: str) -> tuple[str, ...]:
    """Names of the studies on the server, without confirmations and unfinished creations.

    Raises:
        EnvironmentError: the server does not answer, or refuses access.
    """
    query = (
        "SELECT study_name FROM studies JOIN study_user_attributes USING (study_id) "
        "WHERE key = 'whole' AND study_name NOT LIKE '%/%' ORDER BY study_name"
    )
    return _column(given, query)


def _column(given: str, query: str, **values: str) -> tuple[str, ...]:
    """The result of a query on Optuna's tables; empty where there are no tables yet."""
    with answering(given), _session(parsed(given)) as connection:
        if not connection.execute(text("SELECT to_regclass('studies')")).scalar():
            return ()
        return tuple(connection.execute(text(query), values).scalars())


@contextlib.contextmanager
def answering(given: str) -> Generator[None]:
    """Turn an error of the server into one line.

    Raises:
        EnvironmentError: it did not, within the `with`.
    """
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = getattr(error, "orig", None) or error.__cause__ or error
        text = uris.redacted(str(cause), [given])
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        raise EnvironmentError(
            f"the study's storage must answer at {public(given)}, but does not: "
            f"{(lines or [type(cause).__name__])[0][:300]}; start it, and check that user and "
            f"password are in the URL, in {VARIABLE} or where libpq looks for them"
        ) from error


@contextlib.contextmanager
def _session(url: URL, name: str = "raylt") -> Generator[Any]:
    """A new connection that commits every statement at once."""
    arguments = {"connect_timeout": _ANSWER, "application_name": name[:63], **_ALIVE}
    engine = sqlalchemy.create_engine(
        url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments
    )
    with engine.connect() as connection:
        yield connection


def _key(name: str) -> int:
    """The 64-bit key of a name for the server's advisory locks."""
    digest = hashlib.sha256(f"raylt/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
