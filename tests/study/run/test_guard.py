import logging
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from raylt.study.run import guard
from raylt.study.run.guard import RayGuard, RayLost
from tests.patience import wait_for


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(guard, "LOOK", 0.05)
    monkeypatch.setattr(guard, "WORKERS", 1)


@pytest.fixture
def parts():
    """Three processes in the place of Ray's: the raylet has a child that runs trial 3."""
    trial = "import time; file = open('trials/3/output.txt', 'a'); time.sleep(600)"
    raylet = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {trial!r}])"
    made = {}

    def make(folder):
        (folder / "trials" / "3").mkdir(parents=True)
        for name, code in {"raylet": raylet, "gcs_server": "import time; time.sleep(600)"}.items():
            made[name] = subprocess.Popen([sys.executable, "-c", code], cwd=folder)
        wait_for(lambda: (folder / "trials" / "3" / "output.txt").exists())
        return {name: process.pid for name, process in made.items()}

    yield make
    for process in made.values():
        for child in psutil.Process(process.pid).children() if process.poll() is None else []:
            child.kill()
        process.kill()
        process.wait()


def child(pids):
    (process,) = psutil.Process(pids["raylet"]).children()
    return process


def lost(watching, blow):
    """Strike while a guard watches, and wait until it knows."""
    wait_for(lambda: watching._workers)
    assert not watching.look()
    blow()
    wait_for(lambda: watching.lost)
    assert watching.look()


def test_a_killed_raylet_ends_the_command_and_its_trials_and_spares_the_service_that_answers(
    parts, tmp_path
):
    pids = parts(tmp_path)
    trial = child(pids)
    watching = RayGuard(pids, resume_command="raylt resume toy")
    with (
        pytest.raises(RayLost, match=r"its raylet was killed by signal 9.* `raylt resume toy`"),
        watching,
    ):
        lost(watching, psutil.Process(pids["raylet"]).kill)
    wait_for(lambda: not trial.is_running() or trial.status() == psutil.STATUS_ZOMBIE)
    assert psutil.Process(pids["gcs_server"]).status() != psutil.STATUS_ZOMBIE


def test_what_ray_raises_meanwhile_has_the_same_cause(parts, tmp_path):
    pids = parts(tmp_path)
    watching = RayGuard(pids, resume_command="")

    def run():
        with watching:
            lost(watching, psutil.Process(pids["gcs_server"]).kill)
            raise ConnectionError("GCS")

    with pytest.raises(RayLost) as raised:
        run()
    assert isinstance(raised.value.__cause__, ConnectionError)


def test_an_error_of_a_whole_ray_is_its_own(parts, tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        RayGuard(parts(tmp_path), resume_command=""),
    ):
        raise ZeroDivisionError


def test_without_parts_and_head_nothing_is_watched():
    with RayGuard({}, resume_command="") as watching:
        assert not watching.look()


def test_a_part_that_is_stopped_for_long_is_lost_and_one_that_goes_on_is_not(
    parts, tmp_path, monkeypatch
):
    monkeypatch.setattr(guard, "STOPPED", 10)
    pids = parts(tmp_path)
    raylet = psutil.Process(pids["raylet"])
    watching = RayGuard(pids, resume_command="")
    with (
        pytest.raises(RayLost, match=rf"raylet \(process {raylet.pid}\) was stopped by a signal"),
        watching,
    ):
        lost(watching, lambda: stop_and_go(raylet, watching))


def stop_and_go(process, watching):
    """Stop a process for moments, and then for good."""
    for _ in range(5):
        process.suspend()
        time.sleep(0.2)
        process.resume()
        time.sleep(0.1)
    assert not watching.lost
    process.suspend()


def test_a_trial_that_is_stopped_for_long_is_named_once(parts, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(guard, "STOPPED", 4)
    caplog.set_level(logging.WARNING, logger="raylt")
    pids = parts(tmp_path)
    with RayGuard(pids, resume_command="") as watching:
        trial = child(pids)
        trial.suspend()
        wait_for(lambda: caplog.messages)
        time.sleep(0.5)
        trial.resume()
        assert not watching.lost
    (line,) = caplog.messages
    assert f"trial 3 stands still: its process {trial.pid} was stopped by a signal" in line
    assert f"`kill -CONT {trial.pid}`" in line


BLOCKED = """
import subprocess, sys, time
from raylt.study.run import guard
guard.LOOK = guard._GRACE = 0.2
raylet = subprocess.Popen(["sleep", "600"])
with guard.RayGuard({"raylet": raylet.pid}, resume_command="raylt resume toy") as watching:
    raylet.send_signal(SIGNAL)
    time.sleep(600)
"""


def test_a_command_that_waits_for_ray_for_ever_is_ended():
    code = BLOCKED.replace("SIGNAL", str(int(signal.SIGTERM)))
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: Ray must run until the end, but on this machine its raylet was")
    assert line.endswith("go on with `raylt resume toy`")


WHOLE_GROUP = """
import os, signal, subprocess, time
from raylt.study.run import guard
from raylt.study.run.interrupt import Interruption
guard.LOOK, guard._GRACE = 0.1, 0.5
raylet = {"raylet": subprocess.Popen(["sleep", "600"]).pid}
with Interruption(print) as stop:
    asked = lambda: stop.seen
    with guard.RayGuard(raylet, resume_command="raylt resume toy", interrupted=asked):
        os.killpg(0, signal.SIGTERM)
        while True:
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                print("left", flush=True)
"""


def test_a_signal_to_the_whole_group_is_an_interruption_though_ray_dies_of_it():
    ended = subprocess.run(
        [sys.executable, "-c", WHOLE_GROUP],
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )
    assert ended.stdout.splitlines() == ["stopping (SIGTERM)", "left"]
    assert ended.stderr == (
        "error: interrupted at once; what was scored is saved: `raylt resume toy`\n"
    )
    assert ended.returncode == 130


def test_what_ray_raises_after_an_interruption_is_none_of_its_own(parts, tmp_path):
    pids = parts(tmp_path)
    watching = RayGuard(pids, resume_command="raylt resume toy", interrupted=lambda: True)

    def run():
        with watching:
            lost(watching, psutil.Process(pids["raylet"]).kill)
            raise ConnectionError("GCS")

    with pytest.raises(KeyboardInterrupt, match="is saved: `raylt resume toy`"):
        run()


JOINED = """
import socket, subprocess, time
from raylt.study.run import guard
guard.LOOK, guard.AWAY = 0.1, 0.5
head, raylet = socket.create_server(("127.0.0.1", 0)), subprocess.Popen(["sleep", "600"])
parts, again = {"raylet": raylet.pid}, "raylt resume toy"
with guard.RayGuard(parts, head=head.getsockname(), resume_command=again) as watching:
    time.sleep(1.5)
    assert not watching.lost
    BLOW
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("blow", "cause"),
    [
        ("head.close()", r"the head at 127\.0\.0\.1:\d+ has not answered .*Connection refused"),
        ("raylet.kill()", "the raylet of this machine died"),
    ],
)
def test_a_command_that_lost_its_cluster_is_ended_before_ray_aborts_it(blow, cause):
    code = JOINED.replace("BLOW", blow)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert re.search(f"must run until the end, but {cause}", line)
    assert line.endswith("go on with `raylt resume toy`")
