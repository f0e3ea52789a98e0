"""What is lost when a machine dies: nothing but one epoch of its trials.

Every drill ends in the same accounting: each trial is complete with all of its epochs, MLflow has
the points that were reported, no worker is left and every core is free. How long each blow kept
the training from going on is appended to the file that RAYLT_DRILLS names.
"""

import json
import os
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
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).parents[2]
EPOCHS = 25
PATIENCE = 300.0
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

    def begin(self, verb, on, *, head="head", workers, least=None, trials=1):
        address = self.hosts.hosts[head].address
        self.driver = self.hosts.hosts[on].start(
            sys.executable, "-m", "tests.cluster.drive", verb, str(self.folder),
            "--address", f"{address}:6379", "--workers", str(workers),
            "--least", str(least or workers), "--trials", str(trials), "--epochs", str(EPOCHS),
            env=self.hosts.env, log=self.folder / f"{verb}-{on}.log",
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

    def on(self):
        """Hosts of the workers, as many as there are now."""
        ranks = [self.rank(0)]
        ranks += [self.rank(number) for number in range(1, ranks[0]["world"])]
        return [rank["host"] for rank in ranks]

    def recovered(self, name, blow):
        """Strike, and tell how long it takes until training goes on."""
        blow()
        time.sleep(1.0)
        before, began = self.epoch(), time.monotonic()
        self._await(lambda: self.epoch() > before, "training again")
        self._note(name, 1.0 + time.monotonic() - began)

    def evacuated(self, name, host, *, seconds):
        """Give notice of a host, take it away when the time is over, and wait for its work."""
        self.hosts.notice(host, head="head", seconds=seconds)
        began = time.monotonic()
        gone = False

        def elsewhere():
            nonlocal gone
            if not gone and time.monotonic() - began > seconds:
                gone = True
                self.hosts.power_cut(host)
            return host not in self.on()

        self._await(elsewhere, "training elsewhere")
        self._note(name, time.monotonic() - began)
        self._await(lambda: elsewhere() and gone, "the end of the notice")

    def _note(self, name, seconds):
        print(f"\n{name}: back after {seconds:.1f} s")
        if into := os.environ.get("RAYLT_DRILLS"):
            with Path(into).open("a") as file:
                load = os.getloadavg()[0]
                file.write(json.dumps({"blow": name, "seconds": seconds, "load": load}) + "\n")

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
            one.driver.wait()


def test_a_trial_on_two_hosts_survives_a_dead_worker_and_leaves_a_host_that_will_go(drill):
    # The hosts' names lead to loopback, as Debian has it: gloo must be told its interface.
    drill.cluster("a", "b", "c", resolves=False)
    drill.begin("search", "head", workers=2)
    drill.await_epoch(3)
    victim = drill.rank(1)
    assert len(set(drill.on())) == 2
    host = drill.hosts.hosts[victim["host"]]
    kill = ("kill", "-KILL", str(victim["pid"]))
    drill.recovered("a worker's process is killed", lambda: host.run(*kill))
    drill.await_epoch(drill.epoch() + 2)
    drill.evacuated("a host is drained with 15 s notice", drill.rank(1)["host"], seconds=15)
    drill.end()


def test_a_host_without_power_is_replaced_by_the_spare_one_and_then_done_without(drill):
    drill.cluster("a", "b", "c")
    drill.begin("search", "head", workers=2, least=1)
    drill.await_epoch(3)
    for name, left in (("a host loses power", 2), ("another does, with no spare left", 1)):
        lost = drill.rank(1)["host"]
        drill.recovered(name, lambda lost=lost: drill.hosts.power_cut(lost))
        drill.await_epoch(drill.epoch() + 2)
        assert len(drill.on()) == left
        assert lost not in drill.on()
    drill.end()


def test_a_host_that_loses_its_cable_is_replaced_by_the_spare_one(drill):
    drill.cluster("a", "b", "c")
    drill.begin("search", "head", workers=2)
    drill.await_epoch(4)
    lost = drill.rank(1)["host"]
    drill.recovered("a host's cable is pulled", lambda: drill.hosts.pull_cable(lost))
    # The host behind the pulled cable lives on alone, and its processes are not to be counted.
    drill.hosts.power_cut(lost)
    drill.end()


def test_a_search_outlives_its_drivers_host_and_then_the_head(drill):
    drill.cluster("a", "b", extra=("desk",))
    drill.begin("search", "desk", workers=1, trials=2)
    drill.await_epoch(4)

    def lose_the_driver():
        drill.hosts.power_cut("desk")
        drill.driver.wait(timeout=30)
        drill.begin("resume", "head", workers=1)

    drill.recovered("the driver's host dies, `resume` on another", lose_the_driver)

    def lose_the_head():
        drill.hosts.power_cut("head")
        drill.driver.wait(timeout=30)
        drill.hosts.add("head2")
        for name in ("a", "b"):
            drill.hosts.stop_ray(name)
        drill.hosts.ray("head2", cpus=0)
        for name in ("a", "b"):
            drill.hosts.ray(name, head="head2", cpus=1)
        drill.begin("resume", "head2", head="head2", workers=1)

    drill.recovered("the head dies, `resume` on a new cluster", lose_the_head)
    assert len(drill.end()["trials"]) == 2


def test_a_command_is_sent_as_a_job_and_its_exit_code_comes_back(drill):
    drill.cluster("a")
    # The head's dashboard listens on loopback only; a tunnel would end there.
    head, env = drill.hosts.hosts["head"], drill.hosts.env
    where = ["--address", "http://127.0.0.1:8265", "--runs", str(drill.folder / "runs")]

    def raylt(*words, **changes):
        return subprocess.run(
            head.words(sys.executable, "-m", "raylt", *words, *where), capture_output=True,
            text=True, env={**env, **changes}, timeout=PATIENCE,
        )  # fmt: skip

    done = raylt("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout[done.stdout.index("[\n") :])
    shared = [finding for finding in findings if finding["check"] == "storage"]
    assert {finding["where"] for finding in shared} == {"head", "a"}
    # What the command on the cluster exits with comes back.
    done = raylt("resume", "nothing")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "must hold the study 'nothing'" in done.stdout + done.stderr
    small = [
        "epochs=1",
        "schedule.warmup=0",
        "size=8",
        "encoder=small",
        "study.scheduler={name: none}",
    ]
    space = ["--space", str(ROOT / "search_spaces" / "sdclr.yaml"), "--trials", "1", *small]
    sent = raylt("tune", *space, "--study", "sent", "--no-wait")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    name = sent.stdout.split()[-1]
    assert name.startswith("raylt-sent-")
    right = env["RAY_AUTH_TOKEN"]
    deadline = time.monotonic() + PATIENCE
    while "SUCCEEDED" not in (told := _http(head, "GET", f"/api/jobs/{name}", token=right)):
        assert "FAILED" not in told, told
        assert time.monotonic() < deadline, told
        time.sleep(2)
    found = json.loads(raylt_here("best", "sent", drill.folder / "runs"))
    assert found["best"]["state"] == "complete"
    # Nobody gets in without the token, whatever is tried.
    wrong = secrets.token_hex(32)
    done = raylt("doctor", RAY_AUTH_TOKEN=wrong)
    assert done.returncode == 3
    assert "our token" in done.stderr
    for method in ("GET", "POST", "DELETE"):
        path = f"/api/jobs/{name}" if method == "DELETE" else "/api/jobs/"
        assert _http(head, method, path) == "401"
        assert _http(head, method, path, token=wrong) == "403"
    assert _http(head, "GET", "/api/jobs/", token=right).startswith("200 ")


def raylt_here(verb, study, runs):
    words = [sys.executable, "-m", "raylt", verb, study, "--runs", str(runs), "--json"]
    return subprocess.check_output(words, text=True, timeout=120)


_ASK = """
import sys, urllib.request, urllib.error
method, path, token = sys.argv[1:]
body = b'{"entrypoint": "touch /tmp/raylt-was-here"}' if method == "POST" else None
request = urllib.request.Request("http://127.0.0.1:8265" + path, data=body, method=method)
request.add_header("Content-Type", "application/json")
if token:
    request.add_header("Authorization", "Bearer " + token)
try:
    answer = urllib.request.urlopen(request, timeout=60)
    print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


def _http(host, method, path, token=""):
    """What the head's dashboard answers on the head itself."""
    return host.run(sys.executable, "-c", _ASK, method, path, token).strip()
