"""What a study on this machine survives: the random killer of `tests/study/run`, in full.

python -m benchmarks blows

Where RAYLT_BLOWS_INTO names a file that the killer has written already, its times are taken.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
BLOWS = 20
_MEANING = {
    "raylet": "ended with the reason and exit code 3",
    "agent": "ended with the reason and exit code 3",
    "control process": "ended with the reason and exit code 3",
    "driver": "gone (SIGKILL), or training on (SIGSTOP of 2 to 6 s)",
    "trial": "training on",
    "tracker": "training on",
}


def section() -> list[str]:
    """The table.

    Raises:
        RuntimeError: a blow was not survived.
    """
    written = Path(os.environ.get("RAYLT_BLOWS_INTO", ""))
    if written.is_file():
        return table(written.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder, "blows.jsonl")
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "slow"),
                *("-k", "lose_no_trial", "tests/study/run/test_blows.py"),
            ],
            cwd=REPOSITORY,
            env={**os.environ, "RAYLT_BLOWS": str(BLOWS), "RAYLT_BLOWS_INTO": str(times)},
            capture_output=True,
            text=True,
        )
        if ran.returncode or not times.exists():
            raise RuntimeError(f"the killer did not run to its end:\n{ran.stdout[-3000:]}")
        return table(times.read_text("utf-8"))


def table(written: str) -> list[str]:
    """The rows.

    Args:
        written: One JSON object a line for each run of the killer, as it writes them.
    """
    runs = [json.loads(line) for line in written.splitlines()]
    blows = [blow for run in runs for blow in run["blows"]]
    seconds: dict[tuple[str, str], list[float]] = {}
    for blow in blows:
        seconds.setdefault((blow["part"], blow["signal"]), []).append(blow["seconds"])
    rows = [
        f"| {part} | {name} | {len(taken)} | {statistics.median(taken):.0f} | {max(taken):.0f} | "
        f"{_MEANING[part]} |"
        for (part, name), taken in sorted(seconds.items())
    ]
    epochs, trials = sum(run["epochs"] for run in runs), sum(run["trials"] for run in runs)
    seeds = ", ".join(str(run["seed"]) for run in runs)
    return [
        f"{len(blows)} blows at random moments in {len(runs)} run(s), seed {seeds}, of a study on "
        f"this machine's own Ray that an MLflow server tracks, each followed by `raylt resume` "
        f"where it ended the command. Afterwards an account that reads study.db, epochs.jsonl and "
        f"mlflow.db without raylt found all {trials} trials at their end once, their {epochs} "
        f"epochs distinct and complete, and every point of MLflow equal to Optuna's. Of the "
        f"processes that were there at a blow none was left, no socket of theirs, no file that "
        f"they wrote outside the study, and nothing in the folder of temporary files.",
        "",
        "| struck | signal | times | seconds, median | longest | until the command was |",
        "|---|---|---:|---:|---:|---|",
        *rows,
    ]
