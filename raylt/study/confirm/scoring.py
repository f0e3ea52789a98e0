"""Score finished runs on the sealed test images, through Ray; the caller counted the opening."""

from __future__ import annotations

import json
import pkgutil
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from raylt import recipe as recipes
from raylt import scratch
from raylt.study.record import bucket
from raylt.study.record.outcome import Outcome
from raylt.study.record.record import Record
from raylt.study.run.session import Session
from raylt.study.workers import trainable
from raylt.trial.checkpoints.upload import sending

_FILE = "test.json"
_LOOK = 0.5
"""Seconds between two looks at whether the user wants an end."""


def score(
    session: Session, record: Record, runs: Iterable[Outcome], *, opener: str
) -> dict[int, str]:
    """Score runs; the scores lie in their folders.

    Args:
        opener: `package.module:function` that scores one run.

    Returns:
        Why a run could not be scored, in one line, by its number. Runs are missing in both if the
        user interrupted.
    """
    import ray
    from ray.exceptions import RayError

    jobs, failures = _started(session, record, runs, opener), dict[int, str]()
    while jobs and not session.interrupted:
        ready, _ = ray.wait(list(jobs), timeout=_LOOK)
        for done in ready:
            number = jobs.pop(done)
            try:
                failure: str = ray.get(done)
                bucket.trial_folder(record, number, whole=False)
            except RayError as error:
                failure = trainable.one_line(error)
            if failure:
                failures[number] = failure
    for left in jobs:
        ray.cancel(left, force=True)
    return failures


def _started(
    session: Session, record: Record, runs: Iterable[Outcome], opener: str
) -> dict[Any, int]:
    """A job of Ray for each run, with what a trial gets, and the run's number."""
    import ray

    shape = session.allocation.shape
    job: Any = ray.remote(num_cpus=shape.cpus, num_gpus=shape.gpus, max_retries=0)(_score)
    root = str(session.settings.data.resolve())
    return {
        job.remote(
            dict(run.recipe),
            root,
            str(record.trial_folder(run.number)),
            opener,
            record.bucket(run.number),
        ): run.number
        for run in runs
    }


def read(folder: Path, *, digest: str) -> dict[str, Any] | None:
    """The scores of a run on the test images, as the opener gave them; None without any."""
    path = folder / _FILE
    if not path.is_file():
        return None
    scores: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return scores if scores["digest"] == digest else None


def _score(values: dict[str, Any], root: str, folder: str, opener: str, uri: str | None) -> str:
    """In a process of Ray: score one run and keep the result; returns why it failed, or ""."""
    trial = Path(folder)
    trial.mkdir(parents=True, exist_ok=True)
    with trainable.output(trial / "test-output.txt"), sending(trial, uri):
        try:
            open_test: Callable[..., Any] = pkgutil.resolve_name(opener)
            scores = open_test(recipes.parse(values), root=Path(root), folder=trial, device=None)
            with scratch.draft(trial / _FILE) as draft:
                draft.write_text(json.dumps(asdict(scores)), "utf-8")
        except Exception as error:
            (trial / "error.txt").write_text(traceback.format_exc(), "utf-8")
            return trainable.one_line(error)
    return ""
