"""What is lost when a machine dies: nothing but one epoch of its trials.

Every drill ends in the same accounting: each trial is complete with all of its epochs, MLflow has
the points that were reported, no worker is left and every core is free.
"""

import json
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import hosts

WHY = hosts.missing()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(WHY), reason=WHY),
    pytest.mark.timeout(600),
]

ROOT = Path(__file__).parents[2]
EPOCHS = 25
PATIENCE = 200.0
"""Seconds that a step may take on a machine that has other things to do."""


class Drill:
    """A cluster of pretend hosts, and a search that one of them drives."""

    def __init__(self, made, folder):
        self.hosts, self.folder = made, folder
        (folder / "data").mkdir()
        (folder / "data" / "seconds.txt").write_text("0.6")
        self.driver = None

    def cluster(self, *workers, resolves=True, extra=()):
        """A head without cores, hosts with one core each, and hosts with none."""
        for name in ("head", *workers, *extra):
            self.hosts.add(name, resolves=resolves)
        self.hosts.ray("head", cpus=0)
        for name in (*workers, *extra):
            self.hosts.ray(name, head="head", cpus=0 if name in extra else 1)

    def begin(self, verb, on, *, workers, trials=1):
        host, head = self.hosts.hosts[on], self.hosts.hosts["head"]
        self.driver = host.start(
            sys.executable, "-m", "tests.cluster.drive", verb, str(self.folder),
            "--address", f"{head.address}:6379", "--workers", str(workers),
            "--trials", str(trials), "--epochs", str(EPOCHS),
            env=self.hosts.env, log=self.folder / f"{verb}.log",
        )  # fmt: skip

    def epoch(self, trial=0):
        """The newest epoch that is in a trial's checkpoint."""
        path = self.folder / "runs" / "toy" / "trials" / str(trial) / "state.json"
        return len(json.loads(path.read_text())) if path.exists() else 0

    def rank(self, number, trial=0):
        """Host, process and epoch of a worker, as it wrote them."""
        path = self.folder / "runs" / "toy" / "trials" / str(trial) / f"rank-{number}.json"
        return json.loads(path.read_text())

    def await_epoch(self, epoch, trial=0):
        self._await(lambda: self.epoch(trial) >= epoch, f"epoch {epoch}")

    def recovered(self, blow):
        """Strike, and tell how long it takes until training goes on."""
        blow()
        time.sleep(1.0)
        before, began = self.epoch(), time.monotonic()
        self._await(lambda: self.epoch() > before, "training again")
        seconds = 1.0 + time.monotonic() - began
        print(f"\nback after {seconds:.1f} s, from epoch {before}")
        return seconds

    def end(self):
        """Wait for the driver, and check that nothing was lost."""
        self._await(lambda: self.driver.poll() is not None, "the end of the search")
        found = json.loads((self.folder / "account.json").read_text())
        assert found["exit_code"] == 0
        for trial in found["trials"]:
            every = list(range(1, EPOCHS + 1))
            assert trial["state"] == "complete"
            assert trial["epochs"] == every
            assert trial["tracked"] == every
            assert sorted(set(trial["ran"])) == every
            assert len(trial["ran"]) - EPOCHS <= trial["attempts"] - 1
        assert found["free"] >= 0
        for host in self.hosts.hosts.values():
            assert host.processes("ray::RayTrainWorker") == []
        return found

    def _await(self, done, what):
        deadline = time.monotonic() + PATIENCE
        while not done():
            if self.driver.poll() not in (None, 0) or time.monotonic() > deadline:
                logs = [path.read_text()[-3000:] for path in self.folder.glob("*.log")]
                pytest.fail(f"waited for {what}; driver {self.driver.poll()}\n" + "\n".join(logs))
            time.sleep(0.1)


@pytest.fixture
def drill(tmp_path):
    env = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": "10",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with hosts.Hosts(tmp_path, env) as made:
        one = Drill(made, tmp_path)
        yield one
        if one.driver is not None and one.driver.poll() is None:
            one.driver.kill()


def test_a_trial_on_two_hosts_survives_the_death_of_a_worker(drill):
    # The hosts' names lead to loopback, as Debian has it: gloo must be told its interface.
    drill.cluster("a", "b", resolves=False)
    drill.begin("search", "head", workers=2)
    drill.await_epoch(4)
    victim = drill.rank(1)
    assert {drill.rank(0)["host"], victim["host"]} == {"a", "b"}
    host = drill.hosts.hosts[victim["host"]]
    drill.recovered(lambda: host.run("kill", "-KILL", str(victim["pid"])))
    assert drill.end()["trials"][0]["attempts"] == 2


def test_a_host_that_loses_power_is_replaced_by_the_spare_one(drill):
    drill.cluster("a", "b", "c")
    drill.begin("search", "head", workers=2)
    drill.await_epoch(4)
    lost = drill.rank(1)["host"]
    drill.recovered(lambda: drill.hosts.power_cut(lost))
    drill.end()
    assert lost not in {drill.rank(0)["host"], drill.rank(1)["host"]}


def test_a_host_that_loses_its_cable_is_replaced_by_the_spare_one(drill):
    drill.cluster("a", "b", "c")
    drill.begin("search", "head", workers=2)
    drill.await_epoch(4)
    lost = drill.rank(1)["host"]
    drill.recovered(lambda: drill.hosts.pull_cable(lost))
    # The host behind the pulled cable lives on alone, and its processes are not to be counted.
    drill.hosts.power_cut(lost)
    drill.end()


def test_a_search_whose_drivers_host_dies_is_resumed_from_another(drill):
    drill.cluster("a", "b", extra=("desk",))
    drill.begin("search", "desk", workers=1, trials=3)
    drill.await_epoch(4)
    drill.hosts.power_cut("desk")
    drill.driver.wait(timeout=30)
    drill.begin("resume", "head", workers=1)
    found = drill.end()
    assert len(found["trials"]) == 3


def test_a_command_is_sent_as_a_job_and_its_exit_code_comes_back(drill):
    drill.cluster("a")
    # The head's dashboard listens on loopback only; a tunnel would end there.
    head = drill.hosts.hosts["head"]
    words = [
        sys.executable, "-m", "raylt", "doctor", "--address", "http://127.0.0.1:8265",
        "--runs", str(drill.folder / "runs"), "--json",
    ]  # fmt: skip
    env = drill.hosts.env
    done = subprocess.run(head.words(*words), capture_output=True, text=True, env=env, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout[done.stdout.index("[\n") :])
    shared = [finding for finding in findings if finding["check"] == "storage"]
    assert {finding["where"] for finding in shared} == {"head", "a"}
    wrong = {**env, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = subprocess.run(
        head.words(*words), capture_output=True, text=True, env=wrong, timeout=60
    )
    assert done.returncode == 3
    assert "our token" in done.stderr
