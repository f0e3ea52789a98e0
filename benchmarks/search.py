"""A search: trials an hour, with and without early stops and a second core; what one costs.

python -m benchmarks.search [--short] [--trials N]
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pairs
from raylt import space
from raylt.settings import Settings
from raylt.study.record.outcome import Outcome
from raylt.study.run import driver
from raylt.study.run.plan import Plan

SPACE = """
study:
  name: NAME
  trials: 1
  sampler: {name: tpe, seed: 7, startup: 6}
  scheduler: SCHEDULER
recipe:
  data: {name: digits, imbalance: 1}
  method:
    name: sdclr
    prune: {low: 0.1, high: 0.99}
    temperature: {low: 0.05, high: 1.0, log: true}
  encoder: small
  size: 16
  augment: {crop: 0.6, flip: 0.0, jitter: 0.5, grey: 0.0, rotate: 20.0, shear: 12.0}
  optimizer:
    lr: {low: 0.05, high: 1.0, log: true}
    batch_size: 128
  evaluation: {labels: balanced, every: 10}
  epochs: 30
"""
NONE = "{name: none}"
ASHA = "{name: asha, grace: 2, factor: 3}"
PACED = "benchmarks.nothing:paced"


@dataclass(frozen=True)
class Search:
    """What a search left behind."""

    outcomes: tuple[Outcome, ...]
    load: str
    spent: tuple[tuple[float, float], ...]
    """Processor seconds of the driver, its tracker included, at moments of the wall clock."""

    @property
    def hourly(self) -> float:
        """Trials an hour while trials ran: what Ray's start costs is in another table."""
        first = min(trial.began for trial in self.outcomes)
        last = max(trial.ended for trial in self.outcomes)
        return 3600 * len(self.outcomes) / (last - first)

    @property
    def share(self) -> float:
        """The share of a core that the driver and its tracker took while trials ran."""
        first = min(trial.began for trial in self.outcomes)
        last = max(trial.ended for trial in self.outcomes)
        began, ended = (
            next((spent for moment, spent in self.spent if moment >= when), self.spent[-1][1])
            for when in (first, last)
        )
        return (ended - began) / (last - first)

    @property
    def best(self) -> float:
        return max(trial.last.get("val/accuracy", 0.0) for trial in self.outcomes)

    @property
    def epochs(self) -> int:
        return sum(trial.epoch for trial in self.outcomes)


def searched(
    *overrides: str,
    scheduler: str = NONE,
    trials: int,
    concurrent: int = 2,
    work: str = "raylt.trial.worker:work",
) -> Search:
    """Run a search with raylt's driver, Ray and MLflow in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "space.yaml")
        path.write_text(SPACE.replace("NAME", "bench").replace("SCHEDULER", scheduler), "utf-8")
        settings = Settings(
            runs=Path(folder, "runs"),
            data=Path(folder),
            cpus=2,
            concurrent=concurrent,
            quiet=True,
            work=work,
            tracking_uri=f"sqlite:///{folder}/mlflow.db",
        )
        loaded = space.load(path, [f"study.trials={trials}", *overrides])
        plan = Plan(
            space=loaded, settings=settings, url=None, queue=(), floor=dict, fingerprint=""
        )
        with _watched() as spent:
            result = driver.run(plan)
        return Search(result.ranking, pairs.load(), tuple(spent))


@contextlib.contextmanager
def _watched() -> Generator[list[tuple[float, float]]]:
    """Note four times a second what this process has spent, for the time of a `with`."""
    spent: list[tuple[float, float]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            spent.append((time.time(), time.process_time()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield spent
    finally:
        over.set()
        thread.join()


def throughput(*, short: bool) -> list[str]:
    """Trials an hour of real trials."""
    small = ("epochs=1", "evaluation.every=1") if short else ()
    often = ("epochs=3", "evaluation.every=1") if short else ("evaluation.every=2",)
    few, many = (2, 6) if short else (6, 40)
    asha = "{name: asha, grace: 1, factor: 3}" if short else ASHA
    rows = {
        "1 trial at a time": searched(*small, trials=few, concurrent=1),
        "2 trials at a time": searched(*small, trials=few),
        "2 at a time, scored every second epoch": searched(*often, trials=many),
        "the same with ASHA": searched(*often, scheduler=asha, trials=many),
    }
    alone, both, whole, stopped = (item.hourly for item in rows.values())
    return [
        "Trials of 30 epochs of the 1,040 digits at 16x16 with SDCLR, one thread each, from the "
        "first that began to the last that ended, on the wall clock. They are scored every tenth "
        "epoch, or every second where ASHA looks after 2, 6 and 18 of them and lets a third go "
        "on. Goals for two idle cores: 300 an hour without early stops, ASHA three times as many "
        "at an equal best, a second trial at a time 1.8 times as many.",
        "",
        "| | trials | trials an hour | epochs trained | best accuracy | driver, of a core | |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(
            f"| {name} | {len(item.outcomes)} | {item.hourly:.0f} | {item.epochs} "
            f"| {100 * item.best:.1f} | {item.share:.0%} | {item.load} |"
            for name, item in rows.items()
        ),
        "",
        f"Two at a time against one: **{both / alone:.2f}**. ASHA against none: "
        f"**{stopped / whole:.2f}**.",
    ]


def cost(*, short: bool) -> list[str]:
    """What trials and reports cost that train nothing, beside plain Ray Tune."""
    trials, epochs = (3, 3) if short else (30, 20)
    nothing = "benchmarks.nothing:work"
    few = searched("epochs=1", "evaluation.every=1", trials=trials, work=nothing)
    many = searched(f"epochs={epochs}", "evaluation.every=1", trials=trials, work=nothing)
    paced = searched(f"epochs={epochs}", "evaluation.every=1", trials=2, work=PACED)
    trial = 3600 / few.hourly
    report = (3600 / many.hourly - trial) / (epochs - 1)
    waited = max(outcome.last["train/waited"] for outcome in paced.outcomes)
    plain = float(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.plain", "2"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        ).stdout.split()[-1]
    )
    return [
        f"Trials that train nothing, two at a time, {trials} of them, on the wall clock: what a "
        "search itself adds to each. What a trial waits in a report was taken in two trials at a "
        "time whose epochs last 0.2 s. The plain form is Ray Tune with a TorchTrainer in every "
        "trial, two trials, two at a time.",
        "",
        "| | raylt | plain Ray Tune | ratio | goal |",
        "|---|---:|---:|---:|---|",
        f"| a trial more, s | {trial:.2f} | {plain:.1f} | **{plain / trial:.0f}** "
        f"| at most 1 s of raylt's |",
        f"| a report more, ms | {1000 * report:.1f} | - | - | |",
        f"| a trial waits in a report, ms | {1000 * waited:.1f} | - | - | at most 5 ms |",
        "",
        f"{many.load} during these.",
    ]


def section(*, short: bool) -> list[str]:
    """The tables as Markdown."""
    return [*cost(short=short), "", *throughput(short=short)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny trials: does it run?")
    parser.add_argument("--trials", type=int, help="so many, two at a time, and nothing else")
    given = parser.parse_args()
    if given.trials is None:
        print("\n".join(section(short=given.short)))
        return
    item = searched(trials=given.trials)
    print(f"{item.hourly:.0f} trials an hour; driver {item.share:.1%} of a core; {item.load}")


if __name__ == "__main__":
    main()
