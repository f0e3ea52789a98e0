"""What is lost when a machine dies: nothing but one epoch of its trials.

Every drill ends in the same accounting: each trial is complete with all of its epochs, MLflow has
the points that were reported, no worker is left and every core is free. How long each blow kept
the training from going on is appended to the file that RAYLT_DRILLS names.
"""

import json
import re
import secrets
import subprocess
import sys
import time

from raylt.study.record import studies
from tests.cluster import fake
from tests.cluster.drill import MARKS, PATIENCE, ROOT

pytestmark = MARKS


def test_a_trial_on_two_hosts_survives_a_dead_worker_and_leaves_a_host_that_will_go(drill):
    # The hosts' names lead to loopback, as Debian has it: gloo must be told its interface.
    drill.cluster("a", "b", "c", resolves=False)
    drill.begin("search", "head", workers=2)
    drill.await_epoch(3)
    victim = drill.rank(1)
    assert len(set(drill.on())) == 2
    # NCCL reads the same kind of name, though there is no GPU here that would use it.
    for name in fake.INTERFACES:
        assert [drill.rank(number)[name] for number in (0, 1)] == ["eth0", "eth0"]
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
        return drill.raylt(*words, *where, **changes)

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
    while "SUCCEEDED" not in (heard := _http(head, "GET", f"/api/jobs/{name}", token=right)):
        assert "FAILED" not in heard, heard
        assert time.monotonic() < deadline, heard
        time.sleep(2)
    printed = json.loads(raylt_here("best", "sent", drill.folder / "runs"))
    assert printed["best"]["state"] == "complete"
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


def test_a_job_whose_head_is_lost_goes_on_by_the_command_that_is_printed(drill):
    drill.cluster("a")
    head, log = drill.hosts.hosts["head"], drill.folder / "tune.txt"
    where = ["--address", "http://127.0.0.1:8265", "--runs", str(drill.folder / "runs")]
    space = ["--space", str(ROOT / "search_spaces" / "sdclr.yaml"), "--trials", "2"]
    small = ["epochs=60", "schedule.warmup=0", "size=8", "study.scheduler={name: none}"]
    words = ["-m", "raylt", "tune", *space, *small, *where, "--study", "sent"]
    drill.driver = head.start(sys.executable, *words, env=drill.hosts.env, log=log)
    drill.wait((drill.folder / "runs/sent/trials/0/epochs.jsonl").exists, "an epoch")
    drill.hosts.stop_ray("head")
    assert drill.driver.wait(PATIENCE) == 3
    assert "Traceback" not in log.read_text()
    error = log.read_text().splitlines()[-1]
    assert "must answer, but has not for 30 s" in error
    drill.hosts.stop_ray("a")
    drill.hosts.ray("head", cpus=0)
    drill.hosts.ray("a", head="head", cpus=1)
    again = re.search(r"go on with `(raylt resume [^`]*)`$", error)[1]
    head.run("sh", "-c", again, env=drill.hosts.env)
    study = studies.load(drill.folder / "runs" / "sent", sampler=None)
    assert [trial.state for trial in study.outcomes()] == ["complete"] * 2
    study.close()


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
