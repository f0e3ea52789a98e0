"""From the command to the first training step, and what `--help` costs.

python -m benchmarks.startup [--short]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import pairs

SPACE = Path(__file__).parents[1] / "search_spaces" / "sdclr.yaml"
RAYLT = [sys.executable, "-m", "raylt"]


def help_in_starts(rounds: int) -> tuple[float, float]:
    """Processor seconds of `raylt --help`, and how many bare starts of Python they are."""
    taken: list[tuple[float, float]] = []
    for _ in range(rounds):
        bare = pairs.seconds(lambda: run([sys.executable, "-c", "pass"]), pairs.processor)
        taken.append((pairs.seconds(lambda: run([*RAYLT, "--help"]), pairs.processor), bare))
    return (
        statistics.median(shown for shown, _ in taken),
        statistics.median(shown / bare for shown, bare in taken),
    )


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def marks() -> dict[str, float]:
    """Wall-clock seconds from the command `raylt tune` on the digits to what it leaves behind."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        began = time.time()
        run_in = [
            *RAYLT,
            "tune",
            "-s",
            str(SPACE),
            "-n",
            "1",
            "--study",
            "first",
            "--quiet",
            "--runs",
            folder,
            "epochs=1",
            "schedule.warmup=0",
            "evaluation.every=1",
            "study.scheduler={name: none}",
        ]
        subprocess.run(run_in, check=True, capture_output=True, env=environment)
        ended = time.time()
        study = Path(folder, "first")
        trial = study / "trials" / "0"
        times = {
            "the data were measured and the study was written": study / "space.yaml",
            "the trial's process began": trial / "output.txt",
            "the first epoch was trained, scored and on the disk": trial
            / "checkpoint-000001.safetensors",
        }
        result = {name: path.stat().st_mtime - began for name, path in times.items()}
        return {**result, "the command ended, with report and charts": ended - began}


def section(*, short: bool) -> list[str]:
    """The tables as Markdown."""
    seconds, starts = help_in_starts(1 if short else 9)
    runs = [marks() for _ in range(1 if short else 3)]
    word = "reached" if starts < 8 else "missed"
    lines = [
        f"`raylt --help` takes {seconds:.2f} s of processor time, as much as **{starts:.1f}** "
        f"bare starts of Python (goal: under 8, {word}).",
        "",
        f"`raylt tune` on the digits with one trial of one epoch, {len(runs)} runs; wall-clock "
        "seconds after the command, so only an idle machine tells how fast it is (goal: a first "
        "step under 15 s on two idle cores).",
        "",
        "| | median | fastest | slowest |",
        "|---|---:|---:|---:|",
    ]
    for name in runs[0]:
        taken = [item[name] for item in runs]
        lines.append(
            f"| {name} | {statistics.median(taken):.1f} | {min(taken):.1f} | {max(taken):.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="one run only")
    print("\n".join(section(short=parser.parse_args().short)))


if __name__ == "__main__":
    main()
