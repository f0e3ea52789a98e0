import contextlib
import json
import os
import pickle
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raylt.cluster.capacity import Node
from raylt.schema import EnvironmentError, InputError
from raylt.study.record import lock, studies
from raylt.study.run import driver, session
from tests.study import drive, made
from tests.study.drive import behave, settings, toy
from tests.study.run.made import Drive, accounted, agree, processes_of

PICKLES = (
    ".tune/run/tuner.pkl",
    ".tune/run/searcher-state-0.pkl",
    ".tune/run/experiment_state-0.json",
    "tuner.pkl",
    "searcher-state-0.pkl",
    "trials/0/tuner.pkl",
    "trials/0/checkpoint.pkl",
)


class Evil:
    """A file is there once this was unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def searched(tmp_path_factory, empty_store):
    """One search in which a trial raises, one dies once, one dies always and one is NaN."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "runs").mkdir()
    shutil.copy(empty_store, folder / "runs" / "mlflow.db")
    behave(folder, raises=[2], dies_once=[0], dies=[4], nan=[5], seconds=0.01)
    run = Drive("search", folder, "study.trials=10")
    code, out, err = run.end()
    assert out, err
    left = {path.name for path in (folder / "runs" / "toy").iterdir()}
    return folder, code, json.loads(out), err, left


@pytest.mark.ray
def test_a_search_goes_to_its_end_whatever_happens_to_its_trials(searched):
    folder, code, result, err, _ = searched
    assert code == 4, err
    record = studies.open_study("toy", folder / "runs")
    states = {trial.number: trial.state for trial in record.outcomes()}
    assert len(states) == 10
    assert {n for n, state in states.items() if state == "failed"} == {2, 4, 5}
    assert states[0] == "complete"
    assert "stopped" in states.values()
    assert record.best().number == record.study.best_trial.number
    assert [trial.state for trial in record.ranking()] == result["states"]


@pytest.mark.ray
def test_every_failure_has_its_reason_in_one_line(searched):
    folder = searched[0]
    record = studies.open_study("toy", folder / "runs")
    raised = record.outcome(2).failure
    assert re.fullmatch(r"ValueError: wrong in trial 2 \(fake\.py:\d+ in work\)", raised)
    assert "val/accuracy was nan in epoch 1" in record.outcome(5).failure
    assert record.outcome(4).failure.startswith("the trial's process died: Worker unexpectedly")
    assert "Traceback" in (folder / "runs/toy/trials/2/error.txt").read_text()


@pytest.mark.ray
def test_a_dead_process_is_tried_again_from_its_checkpoint_and_an_error_is_not(searched):
    folder = searched[0]
    record = studies.open_study("toy", folder / "runs")
    attempts = {trial.number: trial.attempts for trial in record.outcomes()}
    assert (attempts[0], attempts[2], attempts[4]) == (2, 1, 3)
    trained = accounted(folder)
    assert trained[0] == 6
    agree(record, trained)


@pytest.mark.ray
def test_processes_are_reused_from_trial_to_trial(searched):
    starts = [
        path.read_text().split()[0]
        for path in sorted((searched[0] / "runs/toy/trials").glob("*/starts.txt"))
    ]
    # Two slots, and four processes that died.
    assert len(set(starts)) < len(starts)


@pytest.mark.ray
def test_ray_says_nothing_and_leaves_nothing(searched):
    *_, err, left = searched
    begins, waits, allocation, *lines = err.strip().splitlines()
    assert begins.startswith("toy: ")
    assert waits == "starting Ray ..."
    assert "2 trials at a time" in allocation
    assert all(line.startswith("[") and "] trial " in line for line in lines), err
    assert len(lines) == 10
    assert left == {"space.yaml", "study.db", "driver.lock", "trials"}


def ended(folder):
    """The trials that are over, by their numbers, as another process sees them."""
    record = studies.open_study("toy", folder / "runs")
    outcomes = {outcome.number: outcome for outcome in record.outcomes() if outcome.over}
    record.close()
    return outcomes


@pytest.mark.ray
def test_a_study_goes_on_after_ctrl_c_and_after_a_kill(tmp_path, store):
    behave(tmp_path, seconds=0.7)
    run = Drive("search", tmp_path)
    run.until(run.epoch(0, 2))
    began = time.monotonic()
    # As a terminal does it: to every process of the group.
    os.killpg(run.process.pid, signal.SIGINT)
    code, out, err = run.end(60)
    assert time.monotonic() - began < 30
    assert (code, json.loads(out)["interrupted"]) == (130, True), err
    record = studies.open_study("toy", tmp_path / "runs")
    assert record.outcome(0).state == "running"
    assert lock.driver_of(record.folder, None) is None
    record.close()

    behave(tmp_path, seconds=0.4)
    run = Drive("resume", tmp_path)
    run.until(lambda: 0 in ended(tmp_path))
    pid = run.process.pid
    run.process.kill()
    run.process.communicate()
    before = ended(tmp_path)
    assert before[0].attempts == 2
    # What Tune would go on from is a pickle, which is a program: it must never be read.
    for planted in [*(tmp_path / "runs" / "toy" / ".tune").rglob("*.pkl"), *PICKLES]:
        path = tmp_path / "runs" / "toy" / planted
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(Evil(tmp_path / "evil")))

    behave(tmp_path, seconds=0.01)
    code, _, err = Drive("resume", tmp_path).end()
    assert code == 0, err
    record = studies.open_study("toy", tmp_path / "runs")
    assert [trial.number for trial in record.outcomes()] == list(range(6))
    agree(record, accounted(tmp_path))
    for number, outcome in before.items():
        assert record.outcome(number).last == outcome.last
        assert record.outcome(number).attempts == outcome.attempts
    assert not (tmp_path / "evil").exists()
    end = time.monotonic() + 60
    while processes_of(pid):
        assert time.monotonic() < end, processes_of(pid)
        time.sleep(0.5)


@pytest.mark.ray
@pytest.mark.slow
def test_groups_that_are_stopped_early_give_their_cores_back(tmp_path):
    """Two workers on two cores: one slot, and most trials are stopped after an epoch."""
    behave(tmp_path, seconds=0.3)
    options = settings(tmp_path, workers=2)
    result = drive.search(toy(tmp_path, "study.trials=5"), options)
    states = [trial.state for trial in result.ranking]
    assert result.exit_code == 0
    assert states.count("stopped") >= 2
    assert "running" not in states


def test_a_changed_space_file_is_refused(study, tmp_path):
    made = study()
    path = made.folder / "space.yaml"
    path.write_text(path.read_text().replace("0.99", "0.98"))
    with pytest.raises(InputError, match="changed"):
        driver.resume("toy", settings(tmp_path), retry_failed=False)


def test_a_tracker_that_is_down_leaves_nothing_behind(tmp_path, monkeypatch):
    # Without Ray, which takes seconds to start.
    here = Node(id="", name="here", address="", cpus=1, gpus=0)
    monkeypatch.setattr(session, "ray_nodes", lambda *_, **__: contextlib.nullcontext([here]))
    options = settings(tmp_path, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(EnvironmentError, match=r"127\.0\.0\.1:9"):
        drive.search(toy(tmp_path), options)
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize("trouble", [EnvironmentError("no Ray"), KeyboardInterrupt()])
def test_the_floor_is_measured_while_ray_starts_and_no_start_leaves_nothing(
    trouble, tmp_path, monkeypatch
):
    measured = threading.Event()

    def floor():
        measured.set()
        return {}

    @contextlib.contextmanager
    def ray_nodes(*_, **__):
        assert measured.wait(10)
        raise trouble
        yield

    monkeypatch.setattr(session, "ray_nodes", ray_nodes)
    with pytest.raises(type(trouble)):
        drive.search(toy(tmp_path), settings(tmp_path), floor=floor)
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_floor_that_fails_ends_the_search_and_leaves_nothing(tmp_path, monkeypatch):
    here = Node(id="", name="here", address="", cpus=1, gpus=0)
    monkeypatch.setattr(session, "ray_nodes", lambda *_, **__: contextlib.nullcontext([here]))
    with pytest.raises(ZeroDivisionError):
        drive.search(toy(tmp_path), settings(tmp_path), floor=lambda: 1 / 0)
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_unwritable_folder_of_runs_is_an_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(EnvironmentError, match="--runs"):
        drive.search(toy(tmp_path), settings(tmp_path))


def test_a_study_that_wants_nothing_more_is_sent_and_told_without_ray(
    tmp_path, monkeypatch, store
):
    made.study(tmp_path / "runs", name="over", trials=3, stopped=(), tables=False).close()
    monkeypatch.delattr(session, "ray_nodes")
    outcome = driver.resume("over", settings(tmp_path), retry_failed=False)
    assert ([trial.state for trial in outcome.ranking], outcome.stopped) == (["complete"] * 3, "")
    runs = MlflowClient(outcome.tracking_uri)
    experiment = runs.get_experiment_by_name("over")
    assert len(runs.search_runs([experiment.experiment_id])) == 4


def test_one_run_is_not_made_larger(tmp_path, capsys):
    made.one_run(tmp_path / "runs").close()
    with pytest.raises(InputError, match="--trials must stay 1"):
        driver.resume("one", settings(tmp_path), retry_failed=False, trials="+1")
    assert capsys.readouterr().err == ""
    with contextlib.closing(studies.open_study("one", tmp_path / "runs")) as record:
        assert record.wanted == 1


def test_a_study_that_goes_on_tells_the_trials_that_it_is_to_have(tmp_path, monkeypatch, capsys):
    made.study(tmp_path / "runs", name="over", trials=3, stopped=(), tables=False).close()

    def refuse(*_args):
        raise EnvironmentError("no Ray here")

    monkeypatch.setattr(session, "ray_session", refuse)
    monkeypatch.setattr(driver.same_data, "require_here", lambda *_args: None)
    loud = settings(tmp_path).model_copy(update={"quiet": False})
    for total in (4, 5):
        with pytest.raises(EnvironmentError, match="no Ray here"):
            driver.resume("over", loud, retry_failed=False, trials="+1")
        assert f"over: {total} trials, sdclr on digits" in capsys.readouterr().err
