import functools
import http.server
import json
import ssl
import threading
import time
import urllib.error

import pytest

from raylt import recipe as recipes
from raylt.schema import EnvironmentError
from raylt.study.record.listener import Task
from raylt.study.resources import environment
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.tracking import store
from raylt.study.tracking import tracker as tracking
from raylt.study.tracking.tracker import Tracker
from raylt.study.workers import system_metrics
from tests.study import server
from tests.study.fake import metrics

# MLflow's own store still uses it.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def connect(study, store, tmp_path):
    """Opens the mirror of a study in the store."""

    def make(made):
        return tracking.open_mirror(
            made, uri=store, artifacts=tmp_path / "runs" / "artifacts", command="raylt tune x"
        )

    return make


@pytest.fixture
def client(store):
    environment.prepare_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)


class Runs:
    """All runs of the store, by name."""

    def __init__(self, client):
        experiments = [e for e in client.search_experiments() if e.name != "Default"]
        self.experiment = experiments[0] if experiments else None
        found = client.search_runs([self.experiment.experiment_id]) if self.experiment else []
        self.all = {run.info.run_name: run for run in found}
        assert len(self.all) == len(found), "a run stands twice"
        self._client = client

    def __getitem__(self, name):
        return self.all[name]

    def history(self, name, key):
        points = self._client.get_metric_history(self[name].info.run_id, key)
        return [(point.step, point.value) for point in points]

    def artifacts(self, name):
        return [found.path for found in self._client.list_artifacts(self[name].info.run_id)]


def play(made, tracker, epochs, *, start=1, finish=True):
    """One trial of the study from the searcher's view, with the fake's metrics."""
    search = TruthfulSearcher(made, [tracker], lambda trial_id: "died")
    config = search.suggest("t")
    search.started("t")
    recipe = recipes.parse(json.loads(config["recipe"]))
    for epoch in range(start, epochs + 1):
        search.on_trial_result("t", metrics(recipe, epoch))
    if finish:
        search.on_trial_complete("t", metrics(recipe, epochs))
    else:
        search.interrupt()
    return config["number"]


def opened(made, connect, uri="sqlite:///x", optional=False):
    tracker = Tracker(
        functools.partial(connect, made),
        record=made,
        uri=uri,
        again=f"raylt resume {made.name}",
        optional=optional,
    )
    tracker.start()
    return tracker


def test_a_store_in_a_file_is_opened_once_a_trial_has_begun(study, tmp_path):
    made, opened_at = study(), []

    def connect():
        opened_at.append(made.outcome(0).attempts)
        raise ConnectionError("enough seen")

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracker = Tracker(connect, record=made, uri=uri, again="raylt resume", optional=False)
    tracker.start()
    tracker.demand()
    assert not opened_at
    play(made, tracker, 1)
    assert "points pending" in tracker.close(interrupted=False)[0]
    assert opened_at[0] == 1


def test_a_study_is_a_parent_and_a_child_for_each_trial(study, connect, client):
    made = study()
    tracker = opened(made, connect)
    play(made, tracker, 6)
    play(made, tracker, 1)
    assert tracker.close(interrupted=False) == ()

    runs = Runs(client)
    assert runs.experiment.name == "toy"
    assert set(runs.all) == {"toy", "trial 0", "trial 1"}
    parent, child = runs["toy"], runs["trial 0"]
    for run in (child, runs["trial 1"]):
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert [parent.info.status, child.info.status] == ["FINISHED", "FINISHED"]
    assert child.data.params == {"method.temperature": "0.2", "method.prune": "0.9"}
    wanted = {
        "study": "toy",
        "role": "baseline",
        "state": "complete",
        "rank": "001",
        "method": "sdclr",
        "dataset": "digits",
        "fingerprint": "f1",
        "seed": "0",
        "labels": "balanced",
        "attempt": "1",
    }
    assert child.data.tags.items() >= wanted.items()
    (seen,) = child.inputs.dataset_inputs
    assert (seen.dataset.name, seen.dataset.digest) == ("digits", "f1")
    assert {"version.raylt", "version.torch", "version.ray"} <= child.data.tags.keys()
    assert runs["trial 1"].data.tags["state"] == "stopped"
    assert runs.artifacts("trial 0") == ["charts", "recipe.json"]
    assert set(runs.artifacts("toy")) >= {"space.yaml", "report.html"}


def test_every_epoch_is_a_step_and_the_summary_speaks_of_the_best(study, connect, client):
    made = study()
    tracker = opened(made, connect)
    play(made, tracker, 6)
    tracker.close(interrupted=False)
    runs, entries = Runs(client), made.epochs(0)
    for key in ("val/accuracy", "val/many", "val/few", "train/loss", "lr"):
        assert runs.history("trial 0", key) == [(e["epoch"], e[key]) for e in entries]
    child, parent = runs["trial 0"].data.metrics, runs["toy"].data.metrics
    assert child["best/accuracy"] == entries[-1]["val/accuracy"] == parent["best/accuracy"]
    assert (child["best/epoch"], child["epochs"]) == (6, 6)
    assert parent["floor/logistic/accuracy"] == 0.83
    assert runs.history("toy", "best_so_far/val/accuracy") == [(1, entries[-1]["val/accuracy"])]
    note = runs["toy"].data.tags["mlflow.note.content"]
    assert "| 0 * | complete | 6 | 0.2 | 0.9 |" in note
    assert "`raylt tune x`" in note
    experiment = client.get_experiment_by_name("toy")
    assert experiment.tags["mlflow.note.content"].startswith("Best: trial 0, accuracy ")


def test_what_the_machine_did_stands_beside_every_epoch(study, connect, client):
    made = study()
    tracker = opened(made, connect)
    search = TruthfulSearcher(made, [tracker], lambda trial_id: "died")
    recipe = recipes.parse(json.loads(search.suggest("t")["recipe"]))
    search.started("t")
    with system_metrics.read(lambda found: search.on_trial_result("t", found), on=True) as report:
        for epoch in range(1, 7):
            # Tune adds numbers of its own, which nobody needs.
            report({**metrics(recipe, epoch), "time_total_s": 1.0})
    search.on_trial_complete("t", metrics(recipe, 6))
    assert tracker.close(interrupted=False) == ()
    runs, entries = Runs(client), made.epochs(0)
    for key in ("system/cpu_utilization_percentage", "system/disk_usage_percentage"):
        assert runs.history("trial 0", key) == [(e["epoch"], e[key]) for e in entries]
    assert "time_total_s" not in runs["trial 0"].data.metrics


def test_a_trial_that_is_left_and_taken_up_again_by_one_driver_is_alive(study, connect, client):
    made = study()
    search = TruthfulSearcher(made, [], str, retries=1)
    mirror, seen = connect(made), []
    for _ in range(2):
        search.suggest("t")
        search.started("t")
        mirror.trial(0, interrupted=False)
        seen.append(Runs(client)["trial 0"])
        search.on_trial_complete("t", error=True)
        if made.outcome(0).state == "running":
            mirror.trial(0, interrupted=True)
            seen.append(Runs(client)["trial 0"])
    assert [run.info.status for run in seen] == ["RUNNING", "KILLED", "RUNNING"]
    assert [run.data.tags["state"] for run in seen] == ["running", "interrupted", "running"]


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
    mirror._client = client
    return mirror


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(tracking, "_RETRY", (0.05,))


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
    monkeypatch.setattr(tracking, "_FLUSH", 1.0)
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
    task = Task(0, "draw", {}, made.space.at(made.space.baseline_point), 1)
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
        tracker.demand()
    assert time.monotonic() - began < 10.5
    assert "secret" not in str(caught.value)
    assert tracker.close(interrupted=False) == ()


def test_an_optional_tracker_that_is_away_is_warned_of_and_gets_everything_later(
    study, connect, client, impatient, caplog, tmp_path, store
):
    made, uri = study(), "http://me:secret@127.0.0.1:9/"
    tracker = opened(made, away(uri, tmp_path), uri=uri, optional=True)
    began = time.monotonic()
    tracker.demand()
    play(made, tracker, 6)
    assert time.monotonic() - began < 5
    (notice,) = tracker.close(interrupted=False)
    entries = made.epochs(0)
    assert f"{sum(len(entry) - 2 for entry in entries)} points pending" in notice
    assert "`raylt resume toy` sends them" in notice
    warnings = [record.getMessage() for record in caplog.records if record.name == "raylt"]
    assert len(warnings) == 1
    assert "the search goes on" in warnings[0]
    assert "secret" not in notice + warnings[0]

    tracker = opened(study(), connect, uri=store)
    assert tracker.close(interrupted=False) == ()
    runs = Runs(client)
    assert runs["trial 0"].info.status == "FINISHED"
    for key in ("val/accuracy", "val/few", "train/loss"):
        assert runs.history("trial 0", key) == [(e["epoch"], e[key]) for e in entries]
    assert tracking.pending(study(), store, {}) == 0


@pytest.mark.slow
def test_a_server_that_comes_late_dies_and_returns_has_every_point_once(
    study, tmp_path, monkeypatch
):
    port, log = server.free_port(), tmp_path / "server.log"
    uri, command = f"http://127.0.0.1:{port}", server.mlflow(tmp_path, port)
    monkeypatch.setattr(tracking, "_RETRY", (0.5,))
    monkeypatch.setattr(tracking, "_FLUSH", 120.0)
    made = study()
    tracker = opened(made, away(uri, tmp_path), uri=uri, optional=True)
    tracker.demand()
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
                assert runs.history(name, key) == [(e["epoch"], e[key]) for e in entries]
            assert runs[name].info.status == "FINISHED"


def test_a_file_that_is_no_database_is_refused(study, tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("this is no database, but long enough to look at")
    tracker = opened(study(), away("nonsense://x", tmp_path), uri=f"sqlite:///{path}")
    with pytest.raises(EnvironmentError, match="no SQLite database"):
        tracker.demand()


def test_an_experiment_that_was_deleted_is_an_error_with_its_remedy(study, connect, client):
    experiment = client.create_experiment("toy")
    client.delete_experiment(experiment)
    with pytest.raises(EnvironmentError, match=f"restore -x {experiment}"):
        connect(study())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host:5000/x", "https://host:5000/x"),
        ("https://token@host/", "https://host/"),
        ("http://host/a@b", "http://host/a@b"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("postgresql+psycopg://u:p%40q@h/db failed", "postgresql+psycopg://h/db failed"),
    ],
)
def test_credentials_are_left_out_of_every_text(text, shown):
    assert store.public(text) == shown


def test_a_server_that_says_anything_is_there_and_a_closed_port_is_not():
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        uri = f"http://ann:secret@127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        store.require_reachable(uri)
        thread.join()
    with pytest.raises(EnvironmentError, match="must be reachable") as caught:
        store.require_reachable(uri)
    assert "secret" not in str(caught.value)


def test_a_server_whose_certificate_only_mlflow_knows_is_there(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError(ssl.SSLCertVerificationError(1, "self-signed certificate"))

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    store.require_reachable("https://mlflow.example:5000")
