"""What the driver of a search spends on each trial and report, as the study grows.

    python -m benchmarks.scale [--trials 2000] [--slots 200] [--epochs 9] [--sampler tpe]
        [--tracked 10]

Runs the real searcher, scheduler, record (SQLite), account of costs, retention, progress and
tracker (MLflow on SQLite) with trials that train nothing: `slots` of them are under way at any
moment, and each reports an epoch whenever its turn comes. No Ray is started; its own loop comes
on top. The tracker has a thread of its own in a search; here it follows every tenth trial, which
is enough to see what one costs. Times are of the thread's own CPU clock, so that a busy machine
does not count; they are shown for four equal parts of the study, and a straight line through all
of them says what they come to in a larger one.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from rich.console import Console

from benchmarks import sampler
from raylt import space as spaces
from raylt.study.cost.budget import BudgetMeter
from raylt.study.record import studies
from raylt.study.record.listener import Listener
from raylt.study.record.record import Record
from raylt.study.run.progress import Progress
from raylt.study.run.retention import Retention
from raylt.study.search import sampler as draws
from raylt.study.search import schedulers, tune
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.tracking import store
from raylt.study.tracking import tracker as tracking
from raylt.trial.evaluation import classes

PARTS = 4
_MEDIANS = 20
LARGE = 100_000
"""Trials of the study that is asked about."""
TRACKER = ("track a report", "track an end")
NAMES = {
    "suggest": "suggest a trial",
    "start": "write down that its process is up",
    "report": "a report: judge it, count its cost, write it down",
    "end": "its end",
    "track a report": "tracker: send a report",
    "track an end": "tracker: send an end",
}


@dataclass(frozen=True)
class Scale:
    """A study that is simulated."""

    trials: int = 2000
    slots: int = 200
    epochs: int = 9
    sampler: str = "tpe"
    tracked: int = 10


class Clock:
    """CPU seconds of each kind of work, and how many trials had ended when it was done."""

    def __init__(self, trials: int) -> None:
        self.done = 0
        self.trials = trials
        self.spent: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)

    @contextmanager
    def on(self, work: str) -> Iterator[None]:
        began = time.thread_time()
        yield
        self.add(work, began)

    def add(self, work: str, began: float) -> None:
        """Work is done that began at a time of the clock of this thread."""
        self.spent[work].append((self.done, time.thread_time() - began))

    def quarters(self, work: str) -> list[float]:
        """Mean milliseconds of one piece of work in each part of the study."""
        parts: list[list[float]] = [[] for _ in range(PARTS)]
        for done, seconds in self.spent[work]:
            parts[min(PARTS - 1, done * PARTS // self.trials)].append(seconds)
        return [1e3 * statistics.fmean(part) if part else 0.0 for part in parts]

    def at(self, work: str, trials: int) -> float:
        """Milliseconds in a study of so many trials, by a line that never falls.

        It goes through the medians of twenty parts: now and then Python clears away garbage in
        the middle of some work, which is no trend. What was done too seldom to show one is taken
        to cost what it did.
        """
        if len(self.spent[work]) < 10 * _MEDIANS:
            return 1e3 * statistics.fmean(seconds for _, seconds in self.spent[work])
        parts = np.array_split(np.array(self.spent[work]), _MEDIANS)
        medians = np.array([np.median(part, axis=0) for part in parts if len(part)])
        slope, start = np.polyfit(medians[:, 0], 1e3 * medians[:, 1], 1)
        if slope <= 0:
            return float(1e3 * np.median(medians[:, 1]))
        return float(start + slope * trials)


@dataclass(frozen=True)
class Simulated:
    """What a study came to."""

    scale: Scale
    clock: Clock
    seconds: float
    """By the wall."""
    memory: tuple[int, int]
    """Resident bytes of the process after a quarter of the trials, and at the end."""
    disk: Mapping[str, int]
    """Bytes by file."""


def simulate(folder: Path, scale: Scale) -> Simulated:
    """A whole study in virtual time."""
    path = folder / "space.yaml"
    path.write_text(
        sampler.SPACE.format(trials=scale.trials, sampler=scale.sampler, epochs=scale.epochs)
    )
    space = spaces.load(path)
    study = studies.create(
        folder / "runs" / "scale",
        space,
        sampler=draws.sampler(space, begun=0),
        queue=(),
        facts={"floor": {}, "fingerprint": "none"},
    )
    began = time.monotonic()
    with (
        Progress(study, quiet=True, console=Console(quiet=True)) as progress,
        Retention(study) as retention,
    ):
        search = _Search(study, folder, scale, (progress, retention))
        search.run()
    study.close()
    files = [*study.folder.glob("study.db*"), *study.folder.glob("trials/*/epochs.jsonl")]
    disk: defaultdict[str, int] = defaultdict(int)
    for file in (*files, folder / "runs" / "mlflow.db"):
        disk[file.name.removesuffix("-wal").removesuffix("-shm")] += file.stat().st_size
    return Simulated(
        scale, search.clock, time.monotonic() - began, (search.quarter, resident()), disk
    )


class _Search:
    """What Ray Tune does for a search, without processes."""

    def __init__(
        self, study: Record, folder: Path, scale: Scale, listeners: Sequence[Listener]
    ) -> None:
        self.study, self.scale = study, scale
        self.clock, self.rng = Clock(scale.trials), random.Random(0)
        meter = BudgetMeter(study, cpus=1, gpus=0)
        self.searcher = TruthfulSearcher(study, listeners, str, meter)
        self.stop = tune.Stopper(lambda: False, meter)
        # Tune's own objects are stood in for.
        self.scheduler: Any = schedulers.scheduler(study)
        self.mirror = tracking.open_mirror(
            study,
            uri=store.default_uri(folder / "runs"),
            artifacts=folder / "artifacts",
            command="",
        )
        self.quarter = 0
        """Bytes of memory after a quarter of the trials."""
        self.live: dict[str, Any] = {}
        self.queue: list[tuple[float, str]] = []
        self.names = (f"t{number}" for number in itertools.count())
        self.controller: Any = SimpleNamespace(get_live_trials=self.live.values)

    def run(self) -> None:
        self.fill(0.0)
        while self.queue:
            now, name = heapq.heappop(self.queue)
            if self.goes_on(self.live[name]):
                heapq.heappush(self.queue, (now + self.rng.uniform(0.5, 1.5), name))
            else:
                del self.live[name]
                self.clock.done += 1
                self.fill(now)
                if self.clock.done == self.scale.trials // PARTS:
                    self.quarter = resident()

    def fill(self, now: float) -> None:
        while len(self.live) < self.scale.slots:
            name = next(self.names)
            with self.clock.on("suggest"):
                config = self.searcher.suggest(name)
            if not isinstance(config, dict):
                assert config in (None, Searcher.FINISHED)
                return
            self.live[name] = trial = SimpleNamespace(
                trial_id=name,
                config=config,
                epoch=0,
                quality=self.rng.random(),
                status=Trial.RUNNING,
                folder=self.study.trial_folder(config["number"]),
            )
            with self.clock.on("start"):
                self.scheduler.on_trial_add(self.controller, trial)
                self.searcher.started(name)
            heapq.heappush(self.queue, (now + self.rng.uniform(0.5, 1.5), name))

    def goes_on(self, trial: Any) -> bool:
        trial.epoch += 1
        result = report(trial)
        predict(trial)
        began = time.thread_time()
        ends = self.stop(trial.trial_id, result) or trial.epoch == self.scale.epochs
        decision = self.scheduler.on_trial_result(self.controller, trial, result)
        ends = ends or decision != TrialScheduler.CONTINUE
        if ends:
            self.scheduler.on_trial_complete(self.controller, trial, result)
            self.searcher.on_trial_complete(trial.trial_id, result)
        else:
            self.searcher.on_trial_result(trial.trial_id, result)
        self.scheduler.choose_trial_to_run(self.controller)
        self.stop.stop_all()
        self.clock.add("end" if ends else "report", began)
        if trial.config["number"] % self.scale.tracked == 0:
            with self.clock.on("track an end" if ends else "track a report"):
                self.mirror.trial(trial.config["number"], interrupted=False)
        return not ends


def report(trial: Any) -> dict[str, Any]:
    """An epoch of a trial whose accuracy climbs towards its own ceiling."""
    accuracy = trial.quality * (1 - 0.5**trial.epoch)
    return {
        "epoch": trial.epoch,
        "training_iteration": trial.epoch,
        "val/accuracy": accuracy,
        "val/many": accuracy,
        "val/medium": accuracy,
        "val/few": accuracy,
        "val/knn": accuracy,
        "train/loss": 1.0 / trial.epoch,
        "lr": 0.1,
        "images_per_second": 1000.0,
    }


def predict(trial: Any) -> None:
    """What a trial leaves in its folder: its predictions of 300 images."""
    random = np.random.RandomState(trial.config["number"])
    labels = np.repeat(np.arange(10), 30)
    guesses = np.where(random.rand(300) < trial.quality, labels, random.randint(10, size=300))
    classes.keep(
        trial.folder,
        epoch=trial.epoch,
        predictions=guesses,
        labels=labels,
        train_counts=tuple(range(104, 4, -10)),
    )


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def section(*, short: bool) -> list[str]:
    """The lines of the section of the results."""
    with tempfile.TemporaryDirectory() as folder:
        scale = Scale(trials=60, slots=10) if short else Scale()
        result = simulate(Path(folder), scale)
    return [*lines(result), "", *sampler.lines((100, 200) if short else (1000, 10_000, LARGE))]


def lines(result: Simulated) -> list[str]:
    """What a simulated study says, as Markdown."""
    scale, clock = result.scale, result.clock
    begun, ended = result.memory
    rest = scale.trials - scale.trials // PARTS
    per = {name: size / scale.trials for name, size in result.disk.items()}
    per["mlflow.db"] *= scale.tracked
    first, *_, last = clock.quarters("report")
    driver, tracker = (
        sum(
            len(clock.spent[work])
            / scale.trials
            * clock.at(work, LARGE)
            / 1e3
            * (scale.tracked if work in TRACKER else 1)
            for work in works
        )
        for works in ([name for name in NAMES if name not in TRACKER], TRACKER)
    )
    return [
        f"{scale.trials:,} trials that train nothing over {scale.slots} slots, {scale.epochs} "
        f"epochs, sampler {scale.sampler} with ASHA, by the real searcher, scheduler, record and "
        f"tracker (`benchmarks/scale.py`); no Ray, whose own loop comes on top. Milliseconds of "
        f"processor time, means over each quarter of the study; {result.seconds:.0f} s by the "
        f"wall.",
        "",
        f"| | count | 1st quarter | 2nd | 3rd | 4th | at {LARGE:,} trials, by a straight line |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(row(clock, work) for work in NAMES),
        "",
        f"A report in the last quarter costs {last / first:.2f} times one in the first. In memory "
        f"the driver had {begun / 2**20:.0f} MiB after a quarter of the trials and "
        f"{ended / 2**20:.0f} at the end, {(ended - begun) / rest / 1024:.1f} KiB more for each; "
        f"on the disk a trial takes "
        f"{per['study.db'] / 1024:.1f} KiB of study.db, {per['epochs.jsonl'] / 1024:.1f} KiB of "
        f"epochs.jsonl and {per['mlflow.db'] / 1024:.0f} KiB of mlflow.db.",
        "",
        f"At {LARGE:,} trials of one study a trial would cost the driver {driver:.2f} s and the "
        f"tracker's thread {tracker:.2f} s of one core, by the straight lines: "
        f"{scale.slots} slots are then kept busy by trials of {scale.slots * driver:.0f} s or "
        f"more, and MLflow keeps up with those of {scale.slots * (driver + tracker):.0f} s or "
        f"more.",
    ]


def row(clock: Clock, work: str) -> str:
    cells = " | ".join(f"{mean:.2f}" for mean in clock.quarters(work))
    count = len(clock.spent[work])
    return f"| {NAMES[work]} | {count:,} | {cells} | {clock.at(work, LARGE):.1f} |"


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name, value in vars(Scale()).items():
        options.add_argument(f"--{name}", type=type(value), default=value)
    with tempfile.TemporaryDirectory() as folder:
        result = simulate(Path(folder), Scale(**vars(options.parse_args())))
    print("\n".join(lines(result)))


if __name__ == "__main__":
    main()
