"""Write benchmarks/RESULTS.md: every table, or the sections that are named.

    python -m benchmarks [--short] [--into FILE] [SECTION]...

Each section says which machine, versions, commit and load its numbers are from. A section that is
not asked for, or that another program wrote, stays as it is in the file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from benchmarks import (
    augment,
    blows,
    checkpoints,
    cifar100,
    drills,
    pairs,
    sampling,
    scale,
    scaling,
    search,
    startup,
    steps,
    trainings,
    trials,
    warm_start,
)

RESULTS = Path(__file__).with_name("RESULTS.md")
TITLE = """# Results

Written by `python -m benchmarks`. Ratios are the published form over raylt: both work in turn in
one process or one after the other, and a ratio is the median over the rounds of each round's own
ratio, so that a busy machine slows both. `benchmarks/published.py` says what the published form
is. Nothing here is a test: a number that misses its goal is shown as missed.
"""
CPU = torch.device("cpu")
SECTIONS: Mapping[str, tuple[str, Callable[[bool], list[str]]]] = {
    "views": ("Making views", lambda short: augment.section(rounds=1 if short else 5)),
    "steps": ("A step and its parts", lambda short: steps.section(CPU, short=short)),
    "trials": ("A whole trial", lambda short: trials.speed(short=short)),
    "accuracy": ("The same accuracy", lambda short: trials.accuracy(short=short)),
    "startup": ("From the command to training", lambda short: startup.section(short=short)),
    "scaling": ("Several processes, and memory", lambda short: scaling.section(short=short)),
    "checkpoints": (
        "Waiting for checkpoints",
        lambda short: checkpoints.section(short=short),
    ),
    "sampling": ("Choosing the next trial: laws", lambda short: sampling.on_laws(short=short)),
    "grace": (
        "How early a trial may be stopped",
        lambda short: sampling.on_grace(short=short),
    ),
    "digits": (
        "Choosing the next trial: the digits",
        lambda short: trainings.section(short=short),
    ),
    "warm_start": (
        "Beginning with what an earlier search learned",
        lambda short: warm_start.section(short=short),
    ),
    "search": ("Searching", lambda short: search.section(short=short)),
    "scale": ("A study of thousands of trials", lambda short: scale.section(short=short)),
    "blows": ("When something of this machine fails", lambda short: blows.section()),
    "drills": ("When machines fail", lambda short: drills.section()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny settings: does it run?")
    parser.add_argument("--into", type=Path, default=RESULTS, help="file to write")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    given = parser.parse_args()
    for name in given.sections:
        if name not in SECTIONS:
            parser.error(f"unknown section {name!r}; known: {', '.join(SECTIONS)}")
    torch.set_num_threads(1)
    for name in given.sections or SECTIONS:
        title, measure = SECTIONS[name]
        before = pairs.load()
        body = [f"## {title}", "", *measure(given.short), "", provenance(before)]
        write(given.into, name, body)
        print("\n".join(body), flush=True)


def provenance(before: str) -> str:
    """Where numbers come from, in one sentence."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("torch", "ray", "optuna")
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"*{cifar100.processor()}; {before} before and {os.getloadavg()[0]:.1f} after; Python "
        f"{platform.python_version()}, {versions}; commit {cifar100.commit()}; {now}.*"
    )


def write(path: Path, name: str, lines: list[str]) -> None:
    """Put a section into the file in its own place, or at the end; everything else stays."""
    text = path.read_text("utf-8") if path.exists() else TITLE
    begin, end = f"<!-- section {name} -->", f"<!-- end of {name} -->"
    block = "\n".join([begin, *lines, end])
    place = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if place.search(text):
        text = place.sub(lambda _: block, text)
    else:
        text = f"{text.rstrip()}\n\n{block}\n"
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
