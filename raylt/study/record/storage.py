"""Where a study of record lies: in a SQLite file of its own folder, or on a server."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from sqlalchemy import Connection, text

from raylt.schema import InputError
from raylt.study.record import postgres, sqlite

WHOLE = "whole"
"""The fact that is written last when a study is created."""
POINTER = "storage.txt"
"""The file that names the server of a study."""
_NETWORK = ("nfs", "lustre", "cifs", "smb", "ceph", "gpfs", "beegfs", "fuse", "9p", "afs", "gfs")


def chosen(folder: Path, wanted: str | None) -> str | None:
    """The server on which the study of a folder lies, or is to lie; None for the folder itself.

    A study that is there stays where it is. One on a server leaves the server's name in its
    folder, without user and password.

    Args:
        folder: The study's folder, whether it is there or not.
        wanted: The URL that the user gave; that of OPTUNA_STORAGE where None.

    Raises:
        InputError: the wanted one is no server, or the study lies on another one.
    """
    if wanted is not None:
        postgres.parsed(wanted)
    if (folder / sqlite.FILE).exists():
        return None
    wanted = wanted or os.environ.get(postgres.VARIABLE) or None
    try:
        noted = (folder / POINTER).read_text("utf-8").strip()
    except OSError:
        return wanted
    if (
        wanted is not None
        and postgres.parsed(wanted)
        and postgres.public(wanted) != postgres.public(noted)
    ):
        raise InputError(
            f"--storage: must be {noted}, where {folder.name} lies, but got "
            f"{postgres.public(wanted)}; leave it out, or choose another name with --study"
        )
    return wanted or noted


def opened(folder: Path, url: str | None) -> optuna.storages.RDBStorage:
    """Optuna's storage on a server, or on `study.db` in a folder; made where it is missing.

    Raises:
        EnvironmentError: the server does not answer, or the file cannot be used.
    """
    # Optuna's informational lines would break into the live table.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url:
        return postgres.opened(url)
    return sqlite.opened(folder, write_ahead=not on_network(folder))


def set_trial_user_attrs(
    database: optuna.storages.RDBStorage, trial_id: int, attrs: Mapping[str, Any]
) -> None:
    """Set several attributes of a trial in one commit; Optuna makes one for each."""
    with database.engine.begin() as connection:
        _set_attributes(connection, "trial", trial_id, attrs)


def rewrite(
    storage: optuna.storages.RDBStorage,
    study_id: int,
    distributions: Mapping[str, BaseDistribution],
    facts: Mapping[str, Any],
) -> None:
    """Replace the distributions of all trials, and change facts, in one transaction.

    Optuna has no such call: it refuses an added choice, and leaves a widened range out of what it
    models jointly.

    Args:
        distributions: By the name of the parameter; each must contain the values there are.
    """
    with storage.engine.begin() as database:
        rows = database.execute(
            text(
                "SELECT param_id, param_name, param_value, distribution_json FROM trial_params "
                "JOIN trials USING (trial_id) WHERE study_id = :study"
            ),
            {"study": study_id},
        ).fetchall()
        for key, name, value, old in rows:
            new = distributions[name]
            external = json_to_distribution(old).to_external_repr(value)
            database.execute(
                text(
                    "UPDATE trial_params SET param_value = :value, distribution_json = :new "
                    "WHERE param_id = :key"
                ),
                {
                    "value": new.to_internal_repr(external),
                    "new": distribution_to_json(new),
                    "key": key,
                },
            )
        _set_attributes(database, "study", study_id, facts)


def _set_attributes(
    connection: Connection, owner: str, owner_id: int, attrs: Mapping[str, Any]
) -> None:
    """Set user attributes of a `study` or a `trial`, whose tables are alike."""
    query = (
        f"INSERT INTO {owner}_user_attributes ({owner}_id, key, value_json) "
        f"VALUES (:owner, :key, :value) "
        f"ON CONFLICT ({owner}_id, key) DO UPDATE SET value_json = excluded.value_json"
    )
    rows = [{"owner": owner_id, "key": k, "value": json.dumps(v)} for k, v in attrs.items()]
    connection.execute(text(query), rows)


def on_network(path: Path) -> bool:
    """Whether a path lies on a file system that other machines see, as far as the system tells."""
    kinds: dict[str, str] = {}
    with contextlib.suppress(OSError):
        kinds = {disk.mountpoint: disk.fstype for disk in psutil.disk_partitions(all=True)}
    whole = path.resolve()
    kind = next((kinds[str(p)] for p in (whole, *whole.parents) if str(p) in kinds), "")
    return kind.startswith(_NETWORK)


def studies(runs: Path) -> tuple[str, ...]:
    """Names of the studies in a folder of runs."""
    names = {
        path.parent.name for name in (sqlite.FILE, POINTER) for path in runs.glob(f"*/{name}")
    }
    return tuple(sorted(names))


def without_record(runs: Path) -> tuple[str, ...]:
    """Names of the folders of runs that hold trials, but not the database of their study."""
    names = {path.parent.name for path in runs.glob("*/trials") if any(path.glob("*/*"))}
    return tuple(sorted(names.difference(studies(runs))))


def free_name(name: str, runs: Path, url: str | None) -> str:
    """The name, or where there is such a study the first of `NAME-2`, `NAME-3`, ... without one.

    Raises:
        EnvironmentError: the server does not answer.
    """
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(n for n in names if not ((runs / n).exists() or exists(runs / n, url, n)))


def exists(folder: Path, url: str | None, name: str) -> bool:
    """Whether there is a study that was created completely.

    Raises:
        EnvironmentError: the database cannot be read.
    """
    if url:
        return postgres.fact(url, name, WHOLE) is not None
    return sqlite.has_fact(folder, WHOLE)
