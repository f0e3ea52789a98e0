"""Send a command of raylt to a cluster as a job, which runs on when this machine disconnects.

The job gets the space with the files that it names, the profile and what the user names with
--ship; never the folder that raylt was called in, and nothing from the environment. It is told
how it was sent, for the commands that it prints.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import shlex
import shutil
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raylt import scratch
from raylt.cluster import address as addresses
from raylt.cluster import job as jobs
from raylt.cluster import token
from raylt.schema import EnvironmentError, InputError

LARGEST = 100 * 2**20
"""Bytes that Ray's Jobs API accepts; no setting changes it."""
_OLDEST = (2, 54)
"""The oldest Ray whose Jobs API checks the token everywhere (CVE-2026-27482)."""
_CONNECT = 10.0
"""Seconds that the cluster's dashboard may take to answer."""
_LARGEST_ANSWER = 64 * 2**20
"""Bytes of an answer that are read."""
_NEVER = (".git", "__pycache__", ".venv", "mlruns")
"""Folders inside a shipped folder that are left out."""


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
    again: str
    """The command that goes on with what the job does, should it be lost."""
    variables: Mapping[str, str]
    """Variables of its environment."""


def run(job: Job, address: str, *, wait: bool, say: jobs.Say) -> int:
    """Submit a job and follow it to its end.

    Args:
        wait: Whether to follow it; otherwise its id is printed.

    Returns:
        The exit code of the command on the cluster; 0 without `wait`.

    Raises:
        InputError: the files are too large, or are a whole repository.
        EnvironmentError: the cluster does not accept the job.
    """
    has_token = token.use()
    with scratch.folder("job") as folder:
        pack(job, folder)
        _require_cluster(address)
        warnings = addresses.warnings(address, has_token=has_token)
        for warning in (*warnings, *token.warnings()):
            say(f"warning: {warning}\n")
        client, name = _send(job, address, folder)
    if not wait:
        say(f"{name}\n")
        return 0
    say(f"job {name} on {address}; it goes on when this window is closed\n")
    try:
        return jobs.follow(client, address, name, say, again=job.again)
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
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
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
    version = str(_answer(address, "version").get("ray_version", ""))
    if not re.match(r"\d+\.\d+", version):
        raise EnvironmentError(_no_dashboard(address, "what answers is no dashboard of Ray"))
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        raise EnvironmentError(
            f"the cluster must run Ray {'.'.join(map(str, _OLDEST))} or newer, whose Jobs API "
            f"checks the token everywhere, but {address} runs {version}; update it"
        )
    # A cluster tells its version to everybody, but its jobs only to those with its token.
    _answer(address, "jobs/")


def _answer(address: str, path: str) -> Mapping[str, Any]:
    """What the dashboard answers to a question, as far as that is a mapping."""
    request = urllib.request.Request(f"{address.rstrip('/')}/api/{path}")
    if word := token.word():
        request.add_header("Authorization", f"Bearer {word}")
    try:
        with urllib.request.urlopen(request, timeout=_CONNECT) as answer:
            values: Any = json.loads(answer.read(_LARGEST_ANSWER))
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise token.refused(address) from error
        raise EnvironmentError(_no_dashboard(address, f"HTTP {error.code}")) from error
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        trouble = str(getattr(error, "reason", error)) or type(error).__name__
        raise EnvironmentError(_no_dashboard(address, trouble)) from error
    return values if isinstance(values, dict) else {}


def _no_dashboard(address: str, trouble: str) -> str:
    return (
        f"Ray's dashboard must answer at {address}, but it does not: {trouble}; check the port "
        f"(8265), open a tunnel with `ssh -L 8265:localhost:8265 HEAD`, and see that the head has "
        f"ray[default]"
    )


def _send(job: Job, address: str, folder: Path) -> tuple[Any, str]:
    # Ray reads the token when it is imported.
    from ray.job_submission import JobSubmissionClient

    # It logs what is printed here in fewer words.
    logging.getLogger("ray").setLevel(logging.WARNING)
    for module in ("dashboard_sdk", "job.sdk"):
        logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.ERROR)
    with jobs.accepting(address, "accept the job, but refused it"):
        client = JobSubmissionClient(address)
        name = client.submit_job(
            entrypoint=shlex.join(["python", "-m", "raylt", *job.words]),
            submission_id=f"raylt-{job.label}-{uuid.uuid4().hex[:8]}",
            runtime_env={"working_dir": str(folder), "env_vars": dict(job.variables)},
        )
    return client, name
