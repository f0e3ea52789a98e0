import fcntl
import os
import shutil
import socket
import threading

import pytest

from raylt.schema import EnvironmentError
from raylt.study.record import lock
from raylt.study.record.postgres import Driver


def test_a_second_driver_is_refused_with_the_process_of_the_first(tmp_path):
    folder = tmp_path / "toy"
    assert lock.driver_of(folder, None) is None
    with lock.locked(folder, None):
        assert lock.driver_of(folder, None) == Driver(os.getpid(), socket.gethostname())
        with pytest.raises(
            EnvironmentError, match=rf"already running \(process {os.getpid()} on "
        ):
            lock.locked(folder, None).__enter__()
    assert lock.driver_of(folder, None) is None


def test_a_driver_says_which_question_it_answers(tmp_path):
    with lock.locked(tmp_path / "toy", None, question="confirm"):
        driver = lock.driver_of(tmp_path / "toy", None)
        assert driver == Driver(os.getpid(), socket.gethostname(), "confirm")
        assert str(driver) == f"process {os.getpid()} on {socket.gethostname()}"
    with lock.locked(tmp_path / "toy", None):
        assert lock.driver_of(tmp_path / "toy", None).question == ""


def test_whoever_only_looks_does_not_stop_a_driver_that_starts(tmp_path):
    folder = tmp_path / "toy"
    with lock.locked(folder, None):
        pass
    with (folder / "driver.lock").open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (reader, fcntl.LOCK_UN)).start()
        with lock.locked(folder, None):
            assert lock.driver_of(folder, None) == Driver(os.getpid(), socket.gethostname())


def test_a_folder_that_was_moved_is_not_written_any_more(study, tmp_path):
    made = study()
    number = made.open_trial()
    made.enqueue({}, role="point")
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentError, match=r"raylt resume toy --runs .*/elsewhere`"):
        made.report(number, {"epoch": 1, "val/accuracy": 0.5})
    with pytest.raises(EnvironmentError, match="must stay where it is"):
        made.begin_attempt(number)
    assert not (tmp_path / "runs").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "runs")
    assert made.begin_attempt(number) == 1
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(
        EnvironmentError, match=r"moved or removed; if it was moved, move it back$"
    ):
        made.begin_attempt(number)
