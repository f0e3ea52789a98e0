import os
import subprocess
import sys
import threading
import time

import pytest

from raylt.schema import EnvironmentError
from raylt.study.record.listener import Task
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.tracking import tracker as tracking
from raylt.study.tracking.metric_table import of_epoch, rounded
from raylt.study.tracking.tracker import Tracker
from tests.study import server
from tests.study.tracking.made import Runs, opened, play


def test_a_store_in_a_file_is_opened_once_a_trial_has_begun(study, tmp_path):
    made, opened_at = study(), []

    def connect():
        opened_at.append(made.outcome(0).attempts)
        raise ConnectionError("enough seen")

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracker = Tracker(connect, record=made, uri=uri, resume_command="raylt resume", optional=False)
    tracker.start()
    tracker.require()
    assert not opened_at
    play(made, tracker, 1)
    assert "are not in MLflow" in tracker.close(interrupted=False)[0]
    assert opened_at[0] == 1


def test_an_interrupted_study_is_killed_and_goes_on_in_the_same_runs(study, connect, client):
    made = study()
    tracker = opened(made, connect)
    play(made, tracker, 2, finish=False)
    tracker.close(interrupted=True)
    before = Runs(client)
    assert [before[name].info.status for name in ("toy", "trial 0")] == ["KILLED", "KILLED"]
    assert before["trial 0"].data.tags["state"] == "interrupted"

    made = study()
    tracker = opened(made, connect)
    play(made, tracker, 6)
    tracker.close(interrupted=False)
    after = Runs(client)
    assert {n: r.info.run_id for n, r in after.all.items()} == {
        n: r.info.run_id for n, r in before.all.items()
    }
    assert after["trial 0"].info.status == "FINISHED"
    assert after["trial 0"].data.tags["state"] == "complete"
    assert [step for step, _ in after.history("trial 0", "val/accuracy")] == [1, 2, 3, 4, 5, 6]


def test_a_trial_of_an_earlier_study_is_tagged_with_it(study, connect, client):
    point = {"method.temperature": 0.3, "method.prune": 0.4}
    entry = {"source": "earlier", "trial": 7, "point": point}
    made = study(
        "study.warm_start=[earlier]", warm=[point], facts={"warm_start": {"points": [entry]}}
    )
    tracker = opened(made, connect)
    play(made, tracker, 6)
    play(made, tracker, 6)
    tracker.close(interrupted=False)
    runs = Runs(client)
    assert runs["toy"].data.tags["warm_start"] == "earlier"
    assert runs["trial 1"].data.tags["warm_start"] == "earlier, trial 7"
    assert runs["trial 1"].data.tags["role"] == "warm"
    assert "warm_start" not in runs["trial 0"].data.tags


class Flaky:
    """A mirror's client that fails while it is down, once in the middle of its work too."""

    def __init__(self, client):
        self._client = client
        self.down = False
        self.calls = 0
        self.trips = ()

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            self.calls += 1
            if self.down:
                raise ConnectionError("no route to http://me:secret@host/")
            result = method(*args, **kwargs)
            if self.calls in self.trips:
                # The server took it, but its answer was lost.
                raise ConnectionError("answer lost")
            return result

        return call


def flaky(connect, made, client):
    mirror = connect(made)
    mirror.runs.client = client
    return mirror


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(tracking, "RETRY", (0.05,))


def test_a_tracker_that_is_down_for_a_while_loses_and_doubles_nothing(
    study, connect, client, impatient
):
    made, shaky = study(), Flaky(client)
    tracker = opened(made, lambda made: flaky(connect, made, shaky))
    play(made, tracker, 6)
    shaky.down = True
    play(made, tracker, 1)
    time.sleep(0.3)
    shaky.down = False
    play(made, tracker, 6)
    assert tracker.close(interrupted=False) == ()
    runs = Runs(client)
    for number, epochs in enumerate((6, 1, 6)):
        steps = [step for step, _ in runs.history(f"trial {number}", "val/accuracy")]
        assert steps == list(range(1, epochs + 1))
        assert runs[f"trial {number}"].info.status == "FINISHED"


@pytest.mark.parametrize("lost", [1, 2, 4, 6, 8])
def test_an_answer_that_is_lost_doubles_nothing(study, connect, client, impatient, lost):
    made, shaky = study(), Flaky(client)
    shaky.trips = (lost,)
    tracker = opened(made, lambda made: flaky(connect, made, shaky))
    play(made, tracker, 6)
    assert tracker.close(interrupted=False) == ()
    runs = Runs(client)
    assert set(runs.all) == {"toy", "trial 0"}
    assert [s for s, _ in runs.history("trial 0", "val/accuracy")] == [1, 2, 3, 4, 5, 6]


def test_what_a_dead_tracker_lacks_is_said_and_sent_when_the_study_goes_on(
    study, connect, client, impatient, monkeypatch
):
    monkeypatch.setattr(tracking, "FLUSH", 1.0)
    made, shaky = study(), Flaky(client)
    tracker = opened(made, lambda made: flaky(connect, made, shaky), uri="http://me:pw@host/")
    play(made, tracker, 6)
    shaky.down = True
    play(made, tracker, 6)
    (notice,) = tracker.close(interrupted=False)
    assert "raylt resume toy" in notice
    assert "secret" not in notice
    assert "pw" not in notice

    monkeypatch.undo()
    tracker = opened(study(), connect)
    assert tracker.close(interrupted=False) == ()
    runs = Runs(client)
    assert [s for s, _ in runs.history("trial 1", "val/accuracy")] == [1, 2, 3, 4, 5, 6]
    assert runs["trial 1"].info.status == "FINISHED"


def test_calls_return_at_once_while_the_tracker_hangs(study):
    hanging, made = threading.Event(), study()
    tracker = opened(made, lambda made: hanging.wait(30), uri="http://host/")
    began = time.monotonic()
    task = Task(0, "sampled", {}, made.space.at(made.space.baseline_point), 1)
    for _ in range(1000):
        tracker.reported(task, {"epoch": 1})
    assert time.monotonic() - began < 1
    hanging.set()


def test_a_run_that_somebody_deleted_is_named_and_holds_up_nobody(
    study, connect, client, impatient
):
    made = study()
    tracker = opened(made, connect)
    search = TruthfulSearcher(made, [tracker], str)
    search.suggest("t")
    search.started("t")
    while not (run := Runs(client).all.get("trial 0")):
        time.sleep(0.05)
    client.delete_run(run.info.run_id)
    search.on_trial_complete("t", {"epoch": 6, "val/accuracy": 0.5})
    play(made, tracker, 6)
    (notice,) = tracker.close(interrupted=False)
    assert "trial 0" in notice
    assert "`raylt resume toy` sends it again" in notice
    assert Runs(client)["trial 1"].info.status == "FINISHED"


def away(uri, folder):
    """Connects to a store that is not there."""
    return lambda made: tracking.open_mirror(made, uri=uri, artifacts=folder, command="")


@pytest.mark.parametrize(
    "uri",
    ["http://me:secret@127.0.0.1:9/", "sqlite:////no/such/folder/mlflow.db", "nonsense://x"],
)
def test_a_tracker_that_is_not_there_is_an_error_within_ten_seconds(study, tmp_path, uri):
    began = time.monotonic()
    tracker = opened(study(), away(uri, tmp_path), uri=uri)
    with pytest.raises(EnvironmentError, match="--tracking-uri") as caught:
        tracker.require()
    assert time.monotonic() - began < 10.5
    assert "secret" not in str(caught.value)
    assert tracker.close(interrupted=False) == ()


def test_an_optional_tracker_that_is_away_is_warned_of_and_gets_everything_later(
    study, connect, client, impatient, caplog, tmp_path, store
):
    made, uri = study(), "http://me:secret@127.0.0.1:9/"
    tracker = opened(made, away(uri, tmp_path), uri=uri, optional=True)
    began = time.monotonic()
    tracker.require()
    play(made, tracker, 6)
    assert time.monotonic() - began < 5
    (notice,) = tracker.close(interrupted=False)
    entries = made.epochs(0)
    points = sum(len(of_epoch(entry, made.space.study)) for entry in entries)
    assert f"{points} points are not in MLflow" in notice
    assert "`raylt resume toy` uploads them" in notice
    warnings = [record.getMessage() for record in caplog.records if record.name == "raylt"]
    assert len(warnings) == 1
    assert "the search goes on" in warnings[0]
    assert "secret" not in notice + warnings[0]

    tracker = opened(study(), connect, uri=store)
    assert tracker.close(interrupted=False) == ()
    runs = Runs(client)
    assert runs["trial 0"].info.status == "FINISHED"
    for key in ("val/accuracy", "val/few", "train/loss"):
        assert runs.history("trial 0", key) == [(e["epoch"], rounded(e[key])) for e in entries]
    assert tracking.pending(study(), store, {}) == 0


@pytest.mark.slow
def test_a_server_that_comes_late_dies_and_returns_has_every_point_once(
    study, tmp_path, monkeypatch, capsys
):
    port, log = server.free_port(), tmp_path / "server.log"
    uri, command = f"http://127.0.0.1:{port}", server.mlflow(tmp_path, port)
    monkeypatch.setattr(tracking, "RETRY", (0.5,))
    monkeypatch.setattr(tracking, "FLUSH", 120.0)
    made = study()
    tracker = opened(made, away(uri, tmp_path), uri=uri, optional=True)
    tracker.require()
    play(made, tracker, 6)
    with server.running(command, port=port, log=log):
        play(made, tracker, 6)
        while tracking.pending(made, uri, {}):
            time.sleep(0.2)
    play(made, tracker, 6)
    time.sleep(3)
    assert tracking.pending(made, uri, {}) > 0
    with server.running(command, port=port, log=log):
        play(made, tracker, 1)
        assert tracker.close(interrupted=False) == ()
        from mlflow import MlflowClient

        runs = Runs(MlflowClient(tracking_uri=uri))
        assert set(runs.all) == {"toy", *(f"trial {number}" for number in range(4))}
        for number in range(4):
            name, entries = f"trial {number}", made.epochs(number)
            for key in ("val/accuracy", "val/few", "train/loss"):
                assert runs.history(name, key) == [(e["epoch"], rounded(e[key])) for e in entries]
            assert runs[name].info.status == "FINISHED"
    # Only results belong there.
    assert capsys.readouterr().out == ""


def test_a_file_that_is_no_database_is_refused(study, tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("this is no database, but long enough to look at")
    tracker = opened(study(), away("nonsense://x", tmp_path), uri=f"sqlite:///{path}")
    with pytest.raises(EnvironmentError, match="not a SQLite database"):
        tracker.require()


@pytest.mark.parametrize("deleted", ["experiment", "study run", "trial run"])
def test_what_was_deleted_is_restored_when_the_study_goes_on(
    deleted, study, connect, client, store
):
    made = study()
    tracker = opened(made, connect, uri=store)
    play(made, tracker, 2)
    assert tracker.close(interrupted=False) == ()
    before = Runs(client)
    delete(client, before, deleted)
    tracker = opened(made, connect, uri=store)
    play(made, tracker, 1)
    assert tracker.close(interrupted=False) == ()
    after = Runs(client)
    assert set(after.all) == {"toy", "trial 0", "trial 1"}
    for name, run in before.all.items():
        assert after[name].info.run_id == run.info.run_id
    assert [step for step, _ in after.history("trial 0", "val/accuracy")] == [1, 2]


@pytest.mark.parametrize(
    "deleted",
    [
        "experiment",
        *(pytest.param(f"{w} run", marks=pytest.mark.slow) for w in ("study", "trial")),
    ],
)
def test_what_is_gone_for_good_is_made_anew_with_every_point(
    deleted, study, connect, client, store, tmp_path
):
    made = study()
    tracker = opened(made, connect, uri=store)
    play(made, tracker, 6)
    play(made, tracker, 1)
    assert tracker.close(interrupted=False) == ()
    delete(client, Runs(client), deleted)
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", store]
    subprocess.run(
        command, check=True, env={**os.environ, "MLFLOW_TRACKING_URI": store}, cwd=tmp_path
    )
    assert len(Runs(client).all) < 3
    tracker = opened(made, connect, uri=store)
    assert tracker.close(interrupted=False) == ()
    runs, entries = Runs(client), made.epochs(0)
    assert set(runs.all) == {"toy", "trial 0", "trial 1"}
    parent = runs["toy"].info.run_id
    for name in ("trial 0", "trial 1"):
        assert runs[name].data.tags["mlflow.parentRunId"] == parent
        assert runs[name].info.status == "FINISHED"
    assert runs.history("trial 0", "val/few") == [
        (e["epoch"], rounded(e["val/few"])) for e in entries
    ]


@pytest.mark.parametrize(
    "deleted", ["experiment", pytest.param("study run", marks=pytest.mark.slow)]
)
def test_a_study_that_is_deleted_while_it_runs_is_named_and_comes_back_with_the_next_driver(
    deleted, study, connect, client, store
):
    made = study()
    tracker = opened(made, connect, uri=store)
    play(made, tracker, 1)
    wait_until(lambda: "trial 0" in Runs(client).all)
    before = Runs(client)
    delete(client, before, deleted)
    began = time.monotonic()
    play(made, tracker, 1)
    (notice,) = tracker.close(interrupted=False)
    assert time.monotonic() - began < 20
    assert "was deleted in MLflow" in notice
    assert "`raylt resume toy` uploads them" in notice
    tracker = opened(made, connect, uri=store)
    assert tracker.close(interrupted=False) == ()
    after = Runs(client)
    assert after["toy"].info.run_id == before["toy"].info.run_id
    assert after["trial 1"].info.status == "FINISHED"


def delete(client, runs, what):
    if what == "experiment":
        client.delete_experiment(runs.experiment.experiment_id)
    else:
        client.delete_run(runs["toy" if what == "study run" else "trial 0"].info.run_id)


def wait_until(there, seconds=60):
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)
