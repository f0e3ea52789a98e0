"""Send a command of raylt to a cluster as a job: it runs on, whatever becomes of this machine.

What travels is the space, the profile and what the user names with --ship; never the folder that
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
"""Bytes that the Jobs API of Ray takes, whatever else is set."""
_OLDEST = (2, 54)
"""Ray's Jobs API could be used without the token before (CVE-2026-27482)."""
_CONNECT = 10.0
"""Seconds that the cluster's dashboard may take to answer."""
_BEGIN = 120.0
"""Seconds in which a job must begin; it books nothing, so it needs not wait for anybody."""
_EXIT_CODES = (1, 2, 3, 4, 5, 130)
"""What raylt itself exits with."""
_NEVER = (".git", "__pycache__", ".venv", "mlruns")
"""Folders inside a shipped folder that stay here."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is sent."""

    words: tuple[str, ...]
    """The command line after `raylt`, as it is to run on the cluster."""
    files: Mapping[str, str]
    """Name -> text of the files that the words speak of."""
    ship: tuple[Path, ...]
    """Files and folders to lay beside them, as modules that a job may import."""
    label: str
    """What the job's id says it is about."""


def run(job: Job, address: str, *, wait: bool, say: Say) -> int:
    """Submit a job and follow it to its end.

    Args:
        job: What to run.
        address: http://HOST:8265 of the cluster's head.
        wait: Whether to follow it; else its id is told and it is left alone.
        say: Takes what the user is to read, and the job's own output.

    Returns:
        The exit code of the command on the cluster; 0 where nobody waits for it.

    Raises:
        InputError: what is to be sent is too large, or is a whole repository.
        EnvironmentError: the cluster does not take it.
    """
    has_token = token.use()
    with tempfile.TemporaryDirectory(prefix="raylt-job-") as folder:
        pack(job, Path(folder))
        _require_cluster(address)
        unsafe = addresses.warnings(address, has_token=has_token)
        for warning in (*unsafe, *token.warnings()):
            say(f"warning: {warning}\n")
        client, name = _send(job, address, Path(folder))
    if not wait:
        say(f"{name}\n")
        return 0
    say(f"job {name} on {address}; it goes on if this window is closed\n")
    try:
        return _follow(client, name, say)
    except KeyboardInterrupt:
        say(
            f"\nthe job goes on; to see it: ray job logs --address {address} --follow {name}; "
            f"to end it: ray job stop --address {address} {name}\n"
        )
        return 130


def pack(job: Job, folder: Path) -> None:
    """Lay what is sent into an empty folder.

    Raises:
        InputError: a path is missing, stands for a repository, or everything is too large.
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
        status: SUCCEEDED, STOPPED or FAILED, in the words of the Jobs API.
        driver: What the command on the cluster exited with, as far as it is known.
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
            f"--ship: every name must stand once, but {path.resolve().name} is taken; rename one"
        )


def _require_small(folder: Path) -> None:
    sizes: dict[Path, int] = {}
    for where, inner, names in os.walk(folder):
        # In place, so that the walk does not enter them.
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
                f"{'it is another one' if word else 'there is none'}; set RAY_AUTH_MODE=token and "
                f"RAY_AUTH_TOKEN_PATH to a copy of the head's ~/.ray/auth_token"
            ) from error
        raise EnvironmentError(_no_dashboard(address, f"HTTP {error.code}")) from error
    except (OSError, ValueError, KeyError) as error:
        why = str(getattr(error, "reason", error))
        raise EnvironmentError(_no_dashboard(address, why)) from error
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise EnvironmentError(
            f"the cluster must run Ray {'.'.join(map(str, _OLDEST))} or newer, whose Jobs API is "
            f"guarded as a whole, but {address} runs {version}; update it"
        )


def _no_dashboard(address: str, why: str) -> str:
    return (
        f"Ray's dashboard must answer at {address}, but it does not: {why}; check the port "
        f"(8265), open a tunnel with `ssh -L 8265:localhost:8265 HEAD`, and see that the head has "
        f"ray[default]"
    )


def _token() -> str:
    found = os.environ.get("RAY_AUTH_TOKEN", "")
    path = token.file()
    return found or (path.read_text("utf-8").strip() if path else "")


def _send(job: Job, address: str, folder: Path) -> tuple[Any, str]:
    # Ray reads the token when it is imported.
    from ray.job_submission import JobSubmissionClient

    # What it does is said here, in fewer words.
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
            f"the cluster at {address} must take the job, but refused: "
            f"{' '.join(str(error).split())[:300]}; see `raylt doctor --address {address}`"
        ) from error
    return client, name


def _follow(client: Any, name: str, say: Say) -> int:
    deadline = time.monotonic() + _BEGIN
    while str(client.get_job_status(name)) == "PENDING":
        if time.monotonic() > deadline:
            client.stop_job(name)
            raise EnvironmentError(
                f"the job must begin within {_BEGIN:.0f} s, but {name} is still pending and was "
                f"withdrawn; look at the head's memory and at dashboard_agent.log there"
            )
        time.sleep(1)
    told = 0
    while True:
        try:
            told = asyncio.run(_tell(client, name, told, say))
        except (OSError, RuntimeError) as error:
            say(f"warning: the log broke off ({error}); asking again\n")
        info = client.get_job_info(name)
        if info.status.is_terminal():
            break
        time.sleep(1)
    code = exit_code(str(info.status.value), info.driver_exit_code)
    if code == 1:
        say(f"job {name}: {info.status.value}: {info.message}\n")
    return code


async def _tell(client: Any, name: str, told: int, say: Say) -> int:
    """Say the log from its character `told` on; returns how much of it is said then."""
    seen = 0
    async for text in client.tail_job_logs(name):
        fresh = text[max(0, told - seen) :]
        seen += len(text)
        if fresh:
            say(fresh)
    return max(told, seen)
