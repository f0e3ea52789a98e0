"""The random killer, and a disk that fills up.

    RAYLT_DRILL_SEED=7 RAYLT_BLOWS=20 pytest -m slow -s tests/study/run/test_blows.py

The gate strikes a sample; `python -m benchmarks blows` strikes all of them.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.study import server
from tests.study.drive import behave
from tests.study.run import blows
from tests.study.run.made import Drive, processes_of, tree

BLOWS = int(os.environ.get("RAYLT_BLOWS", "4"))
# Enough that the study does not end before the last blow.
TRIALS, EPOCHS = 40 + 5 * BLOWS, 6
WITHIN = 60.0
"""Seconds in which a driver without its Ray, or Ray without its driver, must have ended."""
AGENTS_WITHIN = 150.0
"""Seconds in which agents of Ray must have ended whose driver was killed: they look for the dead
control process for a minute."""


@pytest.fixture
def seed():
    chosen = int(os.environ.get("RAYLT_DRILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"RAYLT_DRILL_SEED={chosen}")
    return chosen


@pytest.fixture
def rng(seed):
    return random.Random(seed)


class Tracker:
    """An MLflow server over the runs' own mlflow.db."""

    def __init__(self, folder):
        self.port = server.free_port()
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def start(self):
        command = server.mlflow(self._folder, self.port)
        command[command.index("--backend-store-uri") + 1] = f"sqlite:///{self._folder}/mlflow.db"
        env = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        log = self._folder / "server.log"
        self.process = self._stack.enter_context(
            server.running(command, port=self.port, log=log, env=env)
        )

    def worker(self):
        """The process that answers: the first one only starts it."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return children[-1].pid if children else self.process.pid

    def stop(self):
        self._stack.close()


@pytest.fixture
def tracker(tmp_path, empty_store):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_bytes(empty_store.read_bytes())
    made = Tracker(tmp_path / "runs")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def temporary():
    """A folder of temporary files whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="b-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


class Ordeal:
    """A study that is driven by one process after another, and what they leave behind."""

    def __init__(self, folder, temporary, tracker, rng):
        self.folder, self.tracker, self._temporary, self._rng = folder, tracker, temporary, rng
        self.traces = blows.Traces(folder / "runs")
        self.orphans = []
        """Agents that a killed driver leaves for a while."""
        self.run = self.drive()

    def drive(self):
        begun = (self.folder / "runs" / "toy" / "study.db").exists()
        verb, words = ("resume", ()) if begun else ("search", (f"study.trials={TRIALS}",))
        uri = f"http://127.0.0.1:{self.tracker.port}"
        return Drive(verb, self.folder, *words, tracking_uri=uri, temporary=self._temporary)

    def strike(self, part, name):
        """Strike while the study runs; returns the seconds until it goes on, or has ended as it
        must."""
        wait_for_news(self.run, self.folder)
        time.sleep(self._rng.uniform(0.0, 1.0))
        while (victim := self._target(part)) is None:
            wait_for_news(self.run, self.folder)
        known = [
            psutil.Process(pid) for pid in tree(self.run.process.pid) if psutil.pid_exists(pid)
        ]
        self.traces.note(known)
        agents = blows.agents(known)
        at = blows.strike(victim, name)
        if part in blows.FATAL:
            self._ended_with_the_reason()
        elif (part, name) == ("driver", "SIGKILL"):
            self.run.process.communicate()
            self.orphans += agents
            known = [process for process in known if process not in agents]
        else:
            self._heal(victim, part, name)
            wait_for_news(self.run, self.folder)
            return time.monotonic() - at
        seconds = time.monotonic() - at
        blows.wait_until_gone(known, WITHIN)
        assert not processes_of(self.run.process.pid)
        self.run = self.drive()
        return seconds

    def _target(self, part):
        return blows.target(part, self.run.process.pid, self.tracker.worker(), self._rng)

    def _ended_with_the_reason(self):
        code, _, err = self.run.end(WITHIN)
        assert code == 3, err
        line = err.strip().splitlines()[-1]
        assert line.startswith("error: Ray must run until the end, but on this machine its"), err
        folders = f"--runs {self.folder / 'runs'} --data {self.folder / 'data'}"
        assert line.endswith(f"go on with `raylt resume toy {folders}`"), err
        assert "Traceback" not in err

    def _heal(self, victim, part, name):
        if (part, name) == ("tracker", "SIGKILL"):
            self.tracker.stop()
            self.tracker.start()
        elif name == "SIGSTOP":
            time.sleep(self._rng.uniform(2.0, 6.0))
            victim.resume()

    def end(self):
        """Let the study come to its end, and MLflow get what it lacks."""
        self.traces.note([psutil.Process(self.run.process.pid)])
        code, _, err = self.run.end(300)
        assert code == 0, err
        # MLflow may have been given too little time on a busy machine.
        for _ in range(5):
            _, out, _ = self.drive().end(200)
            if not json.loads(out)["notices"]:
                break
        blows.wait_until_gone(self.orphans, AGENTS_WITHIN)

    def left(self):
        """What is left of all of its processes but the study itself."""
        return [
            *blows.leftovers(self.folder / "runs"),
            *self._temporary.iterdir(),
            *self.traces.left(),
        ]


def epochs_on_disk(folder):
    paths = (folder / "runs" / "toy" / "trials").glob("*/epochs.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in paths)


def wait_for_news(run, folder):
    before = epochs_on_disk(folder)
    run.until(lambda: epochs_on_disk(folder) > before + 1)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300 + 150 * BLOWS)
def test_blows_at_random_moments_lose_no_trial_and_no_point(
    tmp_path, temporary, tracker, seed, rng
):
    behave(tmp_path, seconds=1.0)
    ordeal = Ordeal(tmp_path, temporary, tracker, rng)
    times = []
    for part, name in blows.plan(rng, BLOWS):
        seconds = ordeal.strike(part, name)
        print(f"{part} {name}: {seconds:.1f}", flush=True)
        times.append({"part": part, "signal": name, "seconds": seconds})
    behave(tmp_path, seconds=0.01)
    ordeal.end()
    # The account comes after: its own look at the databases leaves files beside them.
    assert not ordeal.left()
    compared = blows.account(tmp_path / "runs", "toy", TRIALS, EPOCHS)
    print(f"{compared} epochs agree")
    if written := os.environ.get("RAYLT_BLOWS_INTO"):
        run = {"seed": seed, "blows": times, "trials": TRIALS, "epochs": compared}
        with open(written, "a") as file:
            file.write(json.dumps(run) + "\n")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a few megabytes; what is on it goes with it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"there is no mount here: {error}")
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_disk_that_fills_at_a_random_moment_costs_nothing_but_the_wait(small_disk, rng):
    behave(small_disk, seconds=0.3)
    run = Drive("search", small_disk, "study.trials=30")
    run.until(run.epoch(0, 1))
    hog = small_disk / "hog"
    for _ in range(2):
        time.sleep(rng.uniform(0.0, 5.0))
        fill(hog)
        code, _, err = run.end(150)
        assert code == 3, err
        assert "Traceback" not in err
        assert err.count("error: ") == 1, err
        assert "space" in err.splitlines()[-1]
        assert not processes_of(run.process.pid)
        hog.unlink()
        run = Drive("resume", small_disk)
        wait_for_news(run, small_disk)
    behave(small_disk, seconds=0.01)
    code, _, err = run.end(300)
    assert code == 0, err
    assert not blows.leftovers(small_disk / "runs")
    print(f"{blows.account(small_disk / 'runs', 'toy', 30, EPOCHS)} epochs agree")


def fill(hog):
    with contextlib.suppress(OSError), hog.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_runs_that_are_moved_meanwhile_are_one_study_afterwards(tmp_path, rng):
    behave(tmp_path, seconds=0.3)
    runs, there = tmp_path / "runs", tmp_path / "there"
    run = Drive("search", tmp_path, "study.trials=20")
    run.until(run.epoch(0, 1))
    time.sleep(rng.uniform(0.0, 3.0))
    runs.rename(there)
    code, _, err = run.end(120)
    assert code == 3, err
    assert f"is now at {there / 'toy'}" in err.splitlines()[-1]
    assert not runs.exists(), list(runs.rglob("*"))
    there.rename(runs)
    behave(tmp_path, seconds=0.01)
    code, _, err = Drive("resume", tmp_path).end(300)
    assert code == 0, err
    blows.account(runs, "toy", 20, EPOCHS)
