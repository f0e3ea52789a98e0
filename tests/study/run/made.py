"""The toy study driven by a process of its own, and what its trials left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from raylt.study.record.outcome import Outcome
from raylt.study.run.result import Result
from tests.study.search.made import result

REPOSITORY = Path(__file__).parents[3]


def accounted(folder, epochs=6):
    """Every epoch that each trial trained; no epoch twice, none left out."""
    trained = {}
    for path in sorted((folder / "runs" / "toy" / "trials").iterdir()):
        ran = path / "ran.txt"
        numbers = [int(line) for line in ran.read_text().split()] if ran.exists() else []
        assert numbers == list(range(1, len(numbers) + 1)), f"{path.name}: {numbers}"
        trained[int(path.name)] = len(numbers)
    return trained


def agree(record, trained):
    """The record holds what was trained, and every trial ended."""
    for trial in record.outcomes():
        assert trial.state in ("complete", "stopped", "failed")
        epochs = [int(entry["epoch"]) for entry in record.epochs(trial.number)]
        assert epochs == sorted(record.frozen(trial.number).intermediate_values)
        if trial.state != "failed":
            assert epochs == list(range(1, trained[trial.number] + 1))


def processes_of(pid):
    """Commands of Ray processes whose session was started by a process."""
    collected = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if f"_{pid}/" in command and "session_" in command and state != "Z":
                collected.append(command)
    return collected


class Drive:
    """The toy study driven by a process of its own."""

    def __init__(self, verb, folder, *overrides, tracking_uri=None, temporary=None):
        self.folder = folder
        # What another test has set for MLflow in this process is nobody's setting.
        clean = {name: value for name, value in os.environ.items() if "MLFLOW" not in name}
        if tracking_uri is not None:
            clean["MLFLOW_TRACKING_URI"] = tracking_uri
        if temporary is not None:
            clean |= {"RAY_TMPDIR": str(temporary), "TMPDIR": str(temporary)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.study.drive", verb, str(folder), *overrides],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )

    def until(self, there, seconds=200):
        """Wait for something that the process makes."""
        end = time.monotonic() + seconds
        while not there():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "it takes too long"
            time.sleep(0.05)

    def epoch(self, trial, number):
        """Whether a trial has reported an epoch."""
        path = self.folder / "runs" / "toy" / "trials" / str(trial) / "epochs.jsonl"
        return lambda: path.exists() and len(path.read_text().split("\n")) > number

    def end(self, seconds=120):
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err


def tree(pid):
    """A process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[1])
    collected = {pid}
    while more := {child for child, parent in parents.items() if parent in collected} - collected:
        collected |= more
    return collected


def kill_all(pid):
    """As when the power goes: the driver, Ray and the trials at once."""
    for item in tree(pid):
        try:
            os.kill(item, signal.SIGKILL)
        except ProcessLookupError:
            continue


def train(made, search, name, accuracy, *, epochs=6, failure=None):
    number = search.suggest(name)["number"]
    search.started(name)
    for file in ("checkpoint-000001.safetensors", "best.safetensors", "classes.json"):
        (made.trial_folder(number) / file).write_text("{}")
    last = {"failure": failure} if failure else result(epochs, accuracy)
    search.on_trial_complete(name, last)


PATHS = ("method.temperature", "method.prune")


def outcome(number, accuracy, *, state="complete", role="sampled", **more):
    last = {"epoch": 6, "val/accuracy": accuracy, "val/many": 0.9, "val/few": 0.5}
    return Outcome(
        number=number,
        state=state,
        role=role,
        point={"method.temperature": 0.1 * number},
        recipe={"epochs": 6},
        last=last if accuracy is not None else {},
        seconds=61,
        **more,
    )


def search_result(*ranking, **changes):
    by_role = {trial.role: trial for trial in ranking}
    given = {
        "name": "toy",
        "folder": "runs/toy",
        "objective": "val/accuracy",
        "paths": PATHS,
        "wanted": 4,
        "ranking": ranking,
        "best": ranking[0] if ranking else None,
        "baseline": by_role.get("baseline"),
        "baseline_source": "a paper",
        "versus": None,
        "floor": {"floor/logistic/accuracy": 0.83},
        "tracking_uri": "sqlite:///runs/mlflow.db",
        "seconds": 90,
        "validation": [100, 100, 100],
        "commands": {
            "best": "raylt best toy",
            "confirm": "raylt confirm toy",
            "ui": "raylt ui",
            "resume": "raylt resume toy",
            "more": "raylt resume toy --trials +4",
        },
        "interrupted": False,
        "stopped": "",
        "notices": (),
    }
    return Result(**{**given, **changes})
