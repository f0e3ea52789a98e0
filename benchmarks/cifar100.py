"""Train the published setting of a space file on real images, and print the curve as Markdown.

    python benchmarks/cifar100.py SPACE [KEY=VALUE]... --data DIRECTORY [--budget SECONDS]

Trains the baseline of SPACE with the overrides put in, in this one process, and prints a section
of benchmarks/RESULTS.md: the command, the machine, the versions, the commit, and for each scored
epoch the accuracy over all classes and over many, medium and few. All numbers are of the
validation images, which are held out of the training pool before the tail is cut; the test set
stays closed.

With `--budget` the run ends with the first scored epoch after so many seconds and says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torchvision

from raylt import space
from raylt.recipe import Recipe
from raylt.trial import worker

COLUMNS = {
    "epoch": "epoch",
    "train/loss": "loss",
    "val/accuracy": "all",
    "val/many": "many",
    "val/medium": "medium",
    "val/few": "few",
    "val/thirds/few": "last third",
    "val/std": "std of thirds",
    "val/knn": "k-NN",
    "images_per_second": "images/s",
}


class Spent(Exception):
    """The time is up."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space", help="a space file with a baseline")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--budget", type=float, help="seconds after which no epoch is begun")
    given = parser.parse_intermixed_args()
    # Nothing is searched here, so no scheduler has to fit the epochs.
    loaded = space.load(given.space, ["study.scheduler={name: none}", *given.overrides])
    if loaded.baseline_point is None:
        parser.error(f"{given.space} must have a baseline")
    recipe = loaded.at(loaded.baseline_point)
    rows, seconds = trained(recipe, given.data, given.budget)
    print("\n".join(section(recipe, rows, seconds)))


def trained(
    recipe: Recipe, data: Path, budget: float | None
) -> tuple[list[dict[str, float]], float]:
    """What was reported, and the seconds that it took."""
    rows: list[dict[str, float]] = []
    began = time.perf_counter()

    def report(row: dict[str, float]) -> None:
        rows.append(row)
        print(" ".join(f"{name} {cell(row, name)}" for name in COLUMNS), file=sys.stderr)
        if budget is not None and time.perf_counter() - began > budget:
            raise Spent

    with tempfile.TemporaryDirectory() as folder:
        try:
            worker.work(recipe, root=data, folder=Path(folder), report=report, device=None)
        except Spent:
            print(f"stopped at epoch {rows[-1]['epoch']:.0f}", file=sys.stderr)
    return rows, time.perf_counter() - began


def section(recipe: Recipe, rows: list[dict[str, float]], seconds: float) -> list[str]:
    """The result as lines of Markdown."""
    done = int(rows[-1]["epoch"])
    ending = "" if done == recipe.epochs else f", ended after {done} by --budget"
    counts = recipe.data.train_counts() or ()
    columns = {key: title for key, title in COLUMNS.items() if key in rows[-1]}
    return [
        f"### {recipe.method.name}, {recipe.encoder}, {recipe.data.name}, seed {recipe.seed}",
        "",
        f"    python {shlex.join(sys.argv)}",
        "",
        f"{recipe.epochs} epochs{ending}; {sum(counts):,} training images, {max(counts)} ... "
        f"{min(counts)} a class; {seconds / 60:.0f} minutes on {machine()}; "
        f"recipe {recipe.digest}, commit {commit()}.",
        "",
        "| " + " | ".join(columns.values()) + " |",
        "|" + " --: |" * len(columns),
        *("| " + " | ".join(cell(row, key) for key in columns) + " |" for row in rows),
    ]


def cell(row: dict[str, float], key: str) -> str:
    """A number as the table shows it; accuracies in per cent."""
    if key not in row:
        return "-"
    if key.startswith("val/"):
        return f"{100 * row[key]:.1f}"
    return f"{row[key]:.0f}" if key in ("epoch", "images_per_second") else f"{row[key]:.3f}"


def machine() -> str:
    """The hardware and the versions that decide the speed and the digits."""
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
        device = f"{cores} of {processor()}, load {os.getloadavg()[1]:.1f}"
    return (
        f"{device}; Python {platform.python_version()}, torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}"
    )


def processor() -> str:
    """Name of the processor."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text("utf-8").splitlines() if listed.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
    """The commit of this checkout, with a + where files differ from it."""
    here = Path(__file__).parent
    asked = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--exclude=*"]
    result = subprocess.run(asked, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
