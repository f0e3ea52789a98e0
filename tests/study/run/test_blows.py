"""The random killer, and a disk that fills up.

    RAYLT_DRILL_SEED=7 RAYLT_BLOWS=20 pytest -m slow -s tests/study/run/test_blows.py

The gate strikes a sample; `python -m benchmarks blows` strikes all of them.
"""

import contextlib
import json
import os
import random
import subprocess
import time

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
def rng():
    seed = int(os.environ.get("RAYLT_DRILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"RAYLT_DRILL_SEED={seed}")
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


def drive(folder, port):
    begun = (folder / "runs" / "toy" / "study.db").exists()
    verb, words = ("resume", ()) if begun else ("search", (f"study.trials={TRIALS}",))
    return Drive(verb, folder, *words, tracking_uri=f"http://127.0.0.1:{port}")


def epochs_on_disk(folder):
    paths = (folder / "runs" / "toy" / "trials").glob("*/epochs.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in paths)


def wait_for_news(run, folder):
    before = epochs_on_disk(folder)
    run.until(lambda: epochs_on_disk(folder) > before + 1)


def struck(run, part, name, tracker, folder, rng, orphans):
    """Strike while the study runs; returns the driver that goes on, and the seconds until then.

    Agents that a killed driver leaves for a while are added to `orphans`.
    """
    wait_for_news(run, folder)
    time.sleep(rng.uniform(0.0, 1.0))
    while (victim := blows.target(part, run.process.pid, tracker.worker(), rng)) is None:
        wait_for_news(run, folder)
    known = [psutil.Process(pid) for pid in tree(run.process.pid) if psutil.pid_exists(pid)]
    agents = blows.agents(known)
    at = blows.strike(victim, name)
    if part in blows.FATAL:
        code, _, err = run.end(WITHIN)
        seconds = time.monotonic() - at
        assert code == 3, err
        line = err.strip().splitlines()[-1]
        assert line.startswith("error: Ray must run until the end, but on this machine its"), err
        command = f"raylt resume toy --runs {folder / 'runs'} --data {folder / 'data'}"
        assert line.endswith(f"go on with `{command}`"), err
        assert "Traceback" not in err
    elif (part, name) == ("driver", "SIGKILL"):
        run.process.communicate()
        seconds = time.monotonic() - at
        orphans += agents
        known = [process for process in known if process not in agents]
    else:
        if (part, name) == ("tracker", "SIGKILL"):
            tracker.stop()
            tracker.start()
        elif name == "SIGSTOP":
            time.sleep(rng.uniform(2.0, 6.0))
            victim.resume()
        wait_for_news(run, folder)
        return run, time.monotonic() - at
    blows.wait_until_gone(known, WITHIN)
    assert not processes_of(run.process.pid)
    return drive(folder, tracker.port), seconds


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_blows_at_random_moments_lose_no_trial_and_no_point(tmp_path, tracker, rng):
    behave(tmp_path, seconds=1.0)
    run = drive(tmp_path, tracker.port)
    times, orphans = [], []
    for part, name in blows.plan(rng, BLOWS):
        run, seconds = struck(run, part, name, tracker, tmp_path, rng, orphans)
        print(f"{part} {name}: {seconds}")
        times.append({"part": part, "signal": name, "seconds": seconds})
    behave(tmp_path, seconds=0.01)
    code, _, err = run.end(300)
    assert code == 0, err
    # MLflow may have been given too little time on a busy machine.
    for _ in range(5):
        _, out, _ = drive(tmp_path, tracker.port).end(200)
        if not json.loads(out)["notices"]:
            break
    blows.wait_until_gone(orphans, AGENTS_WITHIN)
    # The account comes after: its own look at the databases leaves files beside them.
    assert not blows.leftovers(tmp_path / "runs")
    compared = blows.account(tmp_path / "runs", "toy", TRIALS, EPOCHS)
    print(f"{compared} epochs agree")
    if written := os.environ.get("RAYLT_BLOWS_INTO"):
        with open(written, "a") as file:
            file.write(json.dumps({"blows": times, "trials": TRIALS, "epochs": compared}) + "\n")


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
