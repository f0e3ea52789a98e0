"""Send a command of raylt to a cluster as a job, which runs on when this machine disconnects.

The job gets the space, the profile and what the user names with --ship; never the folder that
raylt was called in, and nothing from the environment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raylt.cluster import address as addresses
from raylt.cluster import token
from raylt.schema import EnvironmentError, InputError

LARGEST = 100 * 2**20
"""Bytes that Ray's Jobs API accepts; no setting changes it."""
_OLDEST = (2, 54)
"""The oldest Ray whose Jobs API checks the token everywhere (CVE-2026-27482)."""
_CONNECT = 10.0
"""Seconds that the cluster's dashboard may take to answer."""
_START = 120.0
"""Seconds in which a job must start; it books nothing, so it has nothing to wait for."""
_EXIT_CODES = (1, 2, 3, 4, 5, 130)
"""The exit codes of raylt itself."""
_NEVER = (".git", "__pycache__", ".venv", "mlruns")
"""Folders inside a shipped folder that are left out."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command and the files it needs."""

    words: tuple[str, ...]
    """The command line after `raylt`, as it is to run on the cluster."""
    files: Mapping[str, str]
    """Name -> text of the files that the command line names."""
    ship: tuple[Path, ...]
    """Files and folders to put beside them, such as modules that the job imports."""
    label: str
    """Part of the job's id."""


def run(job: Job, address: str, *, wait: bool, say: Say) -> int:
    """Submit a job and follow it to its end.

    Args:
        job: What to run.
        address: http://HOST:8265 of the cluster's head.
        wait: Whether to follow it; otherwise its id is printed.
        say: Takes text for the user, and the job's own output.

    Returns:
        The exit code of the command on the cluster; 0 without `wait`.

    Raises:
        InputError: the files are too large, or are a whole repository.
        EnvironmentError: the cluster does not accept the job.
    """
    has_token = token.use()
    with tempfile.TemporaryDirectory(prefix="raylt-job-") as folder:
        pack(job, Path(folder))
        _require_cluster(address)
        warnings = addresses.warnings(address, has_token=has_token)
        for warning in (*warnings, *token.warnings()):
            say(f"warning: {warning}\n")
        client, name = _send(job, address, Path(folder))
    if not wait:
        say(f"{name}\n")
        return 0
    say(f"job {name} on {address}; it goes on when this window is closed\n")
    try:
        return _follow(client, name, say)
    except KeyboardInterrupt:
        say(
            f"\nthe job goes on; to see it: ray job logs --address {address} --follow {name}; "
            f"to end it: ray job stop --address {address} {name}\n"
        )
        return 130


def pack(job: Job, folder: Path) -> None:
    """Copy the files of a job into an empty folder.

    Raises:
        InputError: a path is missing or is a repository, or the files are too large.
    """
    for name, text in job.files.items():
        (folder / name).write_text(text, "utf-8")
    for path in job.ship:
        _require_shippable(path, taken=folder)
        target = folder / path.resolve().name
        if path.is_dir():
            _require_small(path)
            shutil.copytree(path, target, ignore=shutil.ignore_patterns(*_NEVER))
        else:
            shutil.copy(path, target)
    _require_small(folder)


def exit_code(status: str, driver: int | None) -> int:
    """The exit code that a job's end stands for.

    Args:
        status: SUCCEEDED, STOPPED or FAILED, as the Jobs API says it.
        driver: The exit code of the command on the cluster, if known.
    """
    if status == "SUCCEEDED":
        return 0
    if driver in _EXIT_CODES:
        return driver
    return 130 if status == "STOPPED" else 1


def _require_shippable(path: Path, *, taken: Path) -> None:
    if not path.exists():
        raise InputError(f"--ship: must name a file or folder, but there is no {path}")
    if (path / ".git").exists():
        raise InputError(
            f"--ship: must not be a whole repository, but {path} holds a .git; name the folder "
            f"or file in it that the trials import"
        )
    if (taken / path.resolve().name).exists():
        raise InputError(
            f"--ship: every name must be unique, but {path.resolve().name} is there twice; "
            f"rename one"
        )


def _require_small(folder: Path) -> None:
    sizes: dict[Path, int] = {}
    for where, inner, names in os.walk(folder):
        # Changed in place, so that the walk does not enter them.
        inner[:] = [name for name in inner if name not in _NEVER]
        sizes |= {Path(where, name): Path(where, name).lstat().st_size for name in names}
    total = sum(sizes.values())
    if total <= LARGEST:
        return
    largest = sorted(sizes, key=lambda path: -sizes[path])[:5]
    raise InputError(
        f"--ship: must be at most {LARGEST // 2**20} MiB together, but is {total / 2**20:.0f} "
        f"MiB; the largest: "
        + ", ".join(f"{p.relative_to(folder)} ({sizes[p] / 2**20:.0f} MiB)" for p in largest)
        + "; put data on the storage that the machines share"
    )


def _require_cluster(address: str) -> None:
    request = urllib.request.Request(f"{address.rstrip('/')}/api/version")
    if word := _token():
        request.add_header("Authorization", f"Bearer {word}")
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT) as answer:
            version = str(json.load(answer)["ray_version"])
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise EnvironmentError(
                f"the cluster at {address} must accept our token, but "
                f"{'it is a different one' if word else 'there is none'}; set "
                f"RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH to a copy of the head's "
                f"~/.ray/auth_token"
            ) from error
        raise EnvironmentError(_no_dashboard(address, f"HTTP {error.code}")) from error
    except (OSError, ValueError, KeyError) as error:
        trouble = str(getattr(error, "reason", error))
        raise EnvironmentError(_no_dashboard(address, trouble)) from error
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise EnvironmentError(
            f"the cluster must run Ray {'.'.join(map(str, _OLDEST))} or newer, whose Jobs API "
            f"checks the token everywhere, but {address} runs {version}; update it"
        )


def _no_dashboard(address: str, trouble: str) -> str:
    return (
        f"Ray's dashboard must answer at {address}, but it does not: {trouble}; check the port "
        f"(8265), open a tunnel with `ssh -L 8265:localhost:8265 HEAD`, and see that the head has "
        f"ray[default]"
    )


def _token() -> str:
    if path := token.file():
        return path.read_text("utf-8").strip()
    return os.environ.get("RAY_AUTH_TOKEN", "")


def _send(job: Job, address: str, folder: Path) -> tuple[Any, str]:
    # Ray reads the token when it is imported.
    from ray.job_submission import JobSubmissionClient

    # It logs what is printed here in fewer words.
    logging.getLogger("ray").setLevel(logging.WARNING)
    client = JobSubmissionClient(address)
    try:
        name = client.submit_job(
            entrypoint=shlex.join(["python", "-m", "raylt", *job.words]),
            submission_id=f"raylt-{job.label}-{uuid.uuid4().hex[:8]}",
            runtime_env={"working_dir": str(folder)},
        )
    except RuntimeError as error:
        raise EnvironmentError(
            f"the cluster at {address} must accept the job, but refused it: "
            f"{' '.join(str(error).split())[:300]}; see `raylt doctor --address {address}`"
        ) from error
    return client, name


def _follow(client: Any, name: str, say: Say) -> int:
    deadline = time.monotonic() + _START
    while str(client.get_job_status(name)) == "PENDING":
        if time.monotonic() > deadline:
            client.stop_job(name)
            raise EnvironmentError(
                f"the job must start within {_START:.0f} s, but {name} is still pending and was "
                f"stopped; look at the head's memory and at dashboard_agent.log there"
            )
        time.sleep(1)
    shown = 0
    while True:
        try:
            shown = asyncio.run(_print_log(client, name, shown, say))
        except (OSError, RuntimeError) as error:
            say(f"warning: the log broke off ({error}); reading on\n")
        info = client.get_job_info(name)
        if info.status.is_terminal():
            break
        time.sleep(1)
    code = exit_code(str(info.status.value), info.driver_exit_code)
    if code == 1:
        say(f"job {name}: {info.status.value}: {info.message}\n")
    return code


async def _print_log(client: Any, name: str, shown: int, say: Say) -> int:
    """Print the log from its character `shown` on; returns how many are shown then."""
    seen = 0
    async for text in client.tail_job_logs(name):
        fresh = text[max(0, shown - seen) :]
        seen += len(text)
        if fresh:
            say(fresh)
    return max(shown, seen)
