"""How long training pauses when machines fail: the drills of `tests/cluster`, timed.

python -m benchmarks drills

Where RAYLT_DRILLS names a file that drills have written already, its times are taken.
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
    """The table.

    Raises:
        RuntimeError: a drill failed, or none can run here.
    """
    written = Path(os.environ.get("RAYLT_DRILLS", ""))
    if written.is_file():
        return table(written.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder, "times.jsonl")
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "cluster", "tests/cluster"],
            cwd=REPOSITORY,
            env={**os.environ, "RAYLT_DRILLS": str(times)},
            capture_output=True,
            text=True,
        )
        if ran.returncode or not times.exists():
            raise RuntimeError(f"the drills did not run to their end:\n{ran.stdout[-3000:]}")
        ending = ran.stdout.strip().splitlines()[-1].strip("= ")
        return [*table(times.read_text("utf-8")), "", f"`pytest -m cluster`: {ending}."]


def table(times: str) -> list[str]:
    """The rows.

    Args:
        times: One JSON object a line with `blow`, `seconds` and `load`, as the drills write them.
    """
    collected: dict[str, list[tuple[float, float]]] = {}
    for line in times.splitlines():
        entry = json.loads(line)
        collected.setdefault(entry["blow"], []).append((entry["seconds"], entry["load"]))
    rows = [
        f"| {blow} | {statistics.median(s for s, _ in item):.0f} | "
        f"{', '.join(f'{load:.0f}' for _, load in item)} |"
        for blow, item in collected.items()
    ]
    return [
        "Seconds from the blow to the next trained epoch, on pretend hosts of this machine: "
        "namespaces with one core each on a switch of their own, Ray with the health checks of "
        "`tests/cluster/hosts.py` (1 s, three misses), epochs of 0.6 s that train nothing; the "
        "median where a blow was struck more than once. Most of it is the start of processes, so "
        "it grows with the load. After each drill every trial is complete, its epochs are "
        "distinct, MLflow has each of them once, no worker is left and every core is free; no "
        "attempt repeats more than one epoch, and a host that goes with a notice costs none. A "
        "host that joins is looked at within 5 s and may serve a new trial; a running one grows "
        "only after room for it has been free for half a minute.",
        "",
        f"| blow | back after, s | load, {os.cpu_count()} cores |",
        "|---|---:|---:|",
        *rows,
    ]
