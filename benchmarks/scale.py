"""What the driver of a search spends on each trial and report, as the study grows.

    python benchmarks/scale.py [--trials 2000] [--slots 200] [--epochs 9] [--sampler tpe]
        [--tracked 20]

Runs the real searcher, scheduler, record (SQLite) and tracker (MLflow on SQLite) with trials that
train nothing: `slots` of them are under way at any moment, and each reports an epoch whenever its
turn comes. No Ray is started. The tracker works in a thread of its own during a search; here it
takes in every 20th trial only, which is enough to see what one costs. Times are of the process's
own CPU clock, so that a busy machine does not count; they are shown for four equal parts of the
study, and what grows is what breaks. Exits with 1 if a report in the last quarter costs more than
twice one in the first.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import itertools
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from raylt import space as spaces
from raylt.study import draws, schedulers, studies, tracking
from raylt.study.searcher import TruthfulSearcher

SPACE = """
study:
  name: scale
  trials: {trials}
  sampler: {{name: {sampler}, seed: 0}}
  scheduler: {{name: asha, grace: 1, factor: 3}}
recipe:
  data: {{name: digits}}
  method:
    name: sdclr
    temperature: {{low: 0.05, high: 1.0, log: true}}
    prune: {{low: 0.1, high: 0.99}}
  encoder: small
  size: 16
  optimizer: {{lr: {{low: 0.01, high: 1.0, log: true}}, batch_size: 128}}
  epochs: {epochs}
"""
PARTS = 4


class Clock:
    """CPU seconds of each kind of work, by the quarter of the study in which it was done."""

    def __init__(self, trials: int) -> None:
        self.done = 0
        self.spent: defaultdict[str, list[list[float]]] = defaultdict(
            lambda: [[] for _ in range(PARTS)]
        )
        self._trials = trials

    @contextmanager
    def on(self, work: str) -> Iterator[None]:
        began = time.thread_time()
        yield
        part = min(PARTS - 1, self.done * PARTS // self._trials)
        self.spent[work][part].append(time.thread_time() - began)

    def row(self, work: str) -> list[float]:
        """Mean milliseconds of one piece of work in each part."""
        return [1e3 * statistics.fmean(part) if part else 0.0 for part in self.spent[work]]


def simulate(
    folder: Path, *, trials: int, slots: int, epochs: int, sampler: str, tracked: int
) -> Clock:
    """A whole study in virtual time."""
    path = folder / "space.yaml"
    path.write_text(SPACE.format(trials=trials, sampler=sampler, epochs=epochs))
    space = spaces.load(path)
    study = studies.create(
        folder / "runs" / "scale", space, sampler=draws.sampler(space, begun=0), queue=(),
        facts={"floor": {}, "fingerprint": "none"},
    )  # fmt: skip
    searcher = TruthfulSearcher(study, (), lambda trial: f"{trial} died")
    scheduler = schedulers.scheduler(study)
    mirror = tracking.open_mirror(
        study, uri=tracking.default_uri(folder / "runs"), artifacts=folder / "artifacts",
        command="",
    )  # fmt: skip
    clock, rng, names = Clock(trials), random.Random(0), itertools.count()
    queue: list[tuple[float, str]] = []
    live: dict[str, Any] = {}

    def fill(now: float) -> None:
        while len(live) < slots:
            name = f"t{next(names)}"
            with clock.on("suggest"):
                config = searcher.suggest(name)
            if config == Searcher.FINISHED:
                return
            with clock.on("start"):
                searcher.started(name)
            live[name] = SimpleNamespace(
                trial_id=name, config=config, epoch=0, quality=rng.random(), status="RUNNING"
            )
            scheduler.on_trial_add(None, live[name])  # type: ignore[arg-type]
            heapq.heappush(queue, (now + rng.uniform(0.5, 1.5), name))

    fill(0.0)
    while queue:
        now, name = heapq.heappop(queue)
        trial = live[name]
        trial.epoch += 1
        result = report(trial)
        with clock.on("schedule"):
            decision = scheduler.on_trial_result(None, trial, result)  # type: ignore[arg-type]
        if decision == TrialScheduler.CONTINUE and trial.epoch < epochs:
            with clock.on("report"):
                searcher.on_trial_result(name, result)
            heapq.heappush(queue, (now + rng.uniform(0.5, 1.5), name))
            continue
        with clock.on("end"):
            searcher.on_trial_complete(name, result)
        if trial.config["number"] % tracked == 0:
            with clock.on("track (a thread)"):
                mirror.trial(trial.config["number"], interrupted=False)
        del live[name]
        clock.done += 1
        fill(now)
    study.close()
    return clock


def report(trial: Any) -> dict[str, Any]:
    """An epoch of a trial whose accuracy climbs towards its own ceiling."""
    accuracy = trial.quality * (1 - 0.5**trial.epoch)
    return {
        "epoch": trial.epoch, "training_iteration": trial.epoch, "val/accuracy": accuracy,
        "val/many": accuracy, "val/medium": accuracy, "val/few": accuracy, "val/knn": accuracy,
        "train/loss": 1.0 / trial.epoch, "lr": 0.1, "images_per_second": 1000.0,
    }  # fmt: skip


def table(clock: Clock, say: Callable[[str], None]) -> float:
    """Print the times; returns by how much a report grew from the first to the last quarter."""
    say("| ms of CPU, mean | count | 1st quarter | 2nd | 3rd | 4th |")
    say("|---|---|---|---|---|---|")
    for work, parts in clock.spent.items():
        cells = " | ".join(f"{mean:.2f}" for mean in clock.row(work))
        say(f"| {work} | {sum(map(len, parts))} | {cells} |")
    first, *_, last = clock.row("report")
    return last / first


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--trials", type=int, default=2000)
    options.add_argument("--slots", type=int, default=200)
    options.add_argument("--epochs", type=int, default=9)
    options.add_argument("--sampler", default="tpe")
    options.add_argument("--tracked", type=int, default=20)
    chosen = options.parse_args()
    say = functools.partial(print, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        clock = simulate(Path(folder), **vars(chosen))
        seconds = time.monotonic() - began
    say(
        f"{chosen.trials} trials over {chosen.slots} slots, {chosen.epochs} epochs, sampler "
        f"{chosen.sampler}; {platform.machine()}, {seconds:.0f} s by the wall\n"
    )
    growth = table(clock, say)
    say(f"\na report in the last quarter costs {growth:.2f} times one in the first")
    return int(growth > 2.0)


if __name__ == "__main__":
    sys.exit(main())
