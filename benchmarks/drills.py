"""How long training pauses when machines fail: the drills of `tests/cluster`, timed.

python -m benchmarks drills
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


def section() -> list[str]:
    """The table, from a run of all drills.

    Raises:
        RuntimeError: a drill failed, or none can run here.
    """
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder, "times.jsonl")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "cluster", "tests/cluster",
             "--timeout", "900"],
            cwd=REPOSITORY, env={**os.environ, "RAYLT_DRILLS": str(times)},
            capture_output=True, text=True,
        )  # fmt: skip
        if ran.returncode or not times.exists():
            raise RuntimeError(f"the drills did not run to their end:\n{ran.stdout[-3000:]}")
        return table(times.read_text("utf-8"), ran.stdout.strip().splitlines()[-1])


def table(times: str, ending: str) -> list[str]:
    """The rows.

    Args:
        times: One JSON object a line with `blow` and `seconds`, as the drills write them.
        ending: The last line of pytest.
    """
    found: dict[str, list[float]] = {}
    for line in times.splitlines():
        entry = json.loads(line)
        found.setdefault(entry["blow"], []).append(entry["seconds"])
    rows = [
        f"| {blow} | {statistics.median(each):.0f} | {len(each)} |" for blow, each in found.items()
    ]
    return [
        "Seconds from the blow to the next trained epoch, on pretend hosts of this machine: "
        "namespaces with one core each on a switch of their own, Ray with the health checks of "
        "`tests/cluster/hosts.py` (1 s, three misses), epochs of 0.6 s that train nothing. Most "
        "of it is the start of processes, so it grows with the load. After each drill every "
        "trial is complete, its epochs are distinct, MLflow has each of them once, no worker is "
        "left and every core is free; no attempt repeats more than one epoch.",
        "",
        "| blow | back after, s | times |",
        "|---|---:|---:|",
        *rows,
        "",
        f"`pytest -m cluster`: {ending.strip('= ')}.",
    ]
