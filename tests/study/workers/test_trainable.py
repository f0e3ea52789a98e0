import json
import math
import subprocess
import sys

import psutil
import pytest

from raylt.study.workers import trainable
from tests.patience import wait_for


def test_only_finite_metrics_pass():
    trainable.require_finite({"epoch": 1, "val/accuracy": 0.5})
    for broken in (math.nan, math.inf, -math.inf):
        with pytest.raises(ArithmeticError, match=r"val/few was .* in epoch 3"):
            trainable.require_finite({"epoch": 3, "val/accuracy": 0.5, "val/few": broken})


def test_a_root_cause_names_the_deepest_line_that_is_not_a_librarys():
    def own():
        json.loads("{")

    with pytest.raises(json.JSONDecodeError) as caught:
        own()
    line = trainable.one_line(caught.value)
    assert line.startswith("JSONDecodeError: Expecting property name")
    assert line.endswith("in own)")
    assert "test_trainable.py" in line
    assert "\n" not in line


def test_what_a_trial_prints_is_kept_in_its_folder(tmp_path, capsys):
    for word in ("one", "two"):
        with trainable.output(tmp_path / "output.txt"):
            print(word)
    assert (tmp_path / "output.txt").read_text() == "one\ntwo\n"
    assert capsys.readouterr().out == ""


ORPHANS = """
import os, sys, time
import ray.train, ray.tune
from raylt.study.workers import group, trainable

def hang(folder, _):
    open(folder, "w").write(str(os.getpid()))
    time.sleep(600)

trainable._LOOK = 0.1
trainable.require_shared = hang
for number, work in enumerate((trainable.trial, group.trial, group.worker)):
    if os.fork() == 0:
        work({"folder": f"{sys.argv[1]}/{number}", "bucket": None})
while not all(os.path.exists(f"{sys.argv[1]}/{number}") for number in range(3)):
    time.sleep(0.05)
time.sleep(0.5)
os._exit(0)
"""


def test_a_trial_and_its_workers_end_with_the_process_that_started_them(tmp_path):
    subprocess.run([sys.executable, "-c", ORPHANS, str(tmp_path)], check=True, timeout=90)
    for number in range(3):
        note = tmp_path / str(number)
        wait_for(lambda note=note: not psutil.pid_exists(int(note.read_text())) or is_zombie(note))


def is_zombie(note):
    return psutil.Process(int(note.read_text())).status() == psutil.STATUS_ZOMBIE
