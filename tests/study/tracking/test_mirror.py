import fnmatch
import json

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from raylt import recipe as recipes
from raylt.reference.keys import entries
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.tracking import views
from raylt.study.tracking.metric_table import TABLE, explained, rounded
from raylt.study.workers import system_metrics
from tests.study.drive import FINGERPRINT
from tests.study.fake import metrics
from tests.study.made import study as made_study
from tests.study.tracking.made import Runs, opened, play


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
    assert child.info.run_name == "trial 0 (baseline)"
    # In MLflow's charts the baseline is told from the others.
    assert child.data.tags["mlflow.runColor"] == "#0072b2"
    assert "mlflow.runColor" not in runs["trial 1"].data.tags
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
        "encoder": "small",
        "epochs": "6",
        "fingerprint": FINGERPRINT,
        "seed": "0",
        "labels": "balanced",
        "attempt": "1",
    }
    assert child.data.tags.items() >= wanted.items()
    keys = {entry.key.rpartition(".")[2] for entry in entries()}
    own = {tag for tag in child.data.tags if not tag.startswith("mlflow.")}
    assert [tag for tag in own - keys - {"study"} if not explained(tag)] == []
    for run in (parent, child):
        (seen,) = run.inputs.dataset_inputs
        assert (seen.dataset.name, seen.dataset.digest) == ("digits", FINGERPRINT)
        assert json.loads(seen.dataset.source)["name"] == "digits"
    assert {"version.raylt", "version.torch", "version.ray"} <= child.data.tags.keys()
    assert runs["trial 1"].data.tags["state"] == "stopped"
    assert runs.artifacts("trial 0") == ["charts", "recipe.json"]
    assert set(runs.artifacts("toy")) >= {"space.yaml", "report.html"}


def test_a_trial_has_no_run_before_its_process_is_up(study, connect):
    made = study()
    mirror = connect(made)
    number = made.open_trial()
    search = TruthfulSearcher(made, [], lambda name: "died")
    assert search.suggest("a")["number"] == number
    assert mirror.missing() == ()
    search.started("a")
    assert mirror.missing() == (number,)


def test_every_epoch_is_a_step_and_the_summary_speaks_of_the_best(study, connect, client):
    made = study()
    tracker = opened(made, connect)
    play(made, tracker, 6)
    tracker.close(interrupted=False)
    runs, entries = Runs(client), made.epochs(0)
    for key in ("val/accuracy", "val/many", "val/few", "train/loss", "lr"):
        assert runs.history("trial 0", key) == [(e["epoch"], rounded(e[key])) for e in entries]
    child, parent = runs["trial 0"].data.metrics, runs["toy"].data.metrics
    accuracy = rounded(entries[-1]["val/accuracy"])
    assert child["best_epoch/accuracy"] == accuracy == parent["best/accuracy"]
    assert (child["best_epoch/epoch"], child["epochs"]) == (6, 6)
    # A name is of one thing in an experiment: a trial is judged by its last epoch.
    assert not [name for name in child if name.startswith("best/")]
    assert parent["floor/logistic/accuracy"] == 0.83
    assert runs.history("toy", "best_so_far/val/accuracy") == [(1, accuracy)]
    for name in child | parent:
        assert any(fnmatch.fnmatchcase(name, row.name) for row in TABLE), name
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
    with system_metrics.read(
        lambda result: search.on_trial_result("t", result), on=True
    ) as report:
        for epoch in range(1, 7):
            # Tune adds numbers of its own, which nobody needs.
            report({**metrics(recipe, epoch), "time_total_s": 1.0})
    search.on_trial_complete("t", metrics(recipe, 6))
    assert tracker.close(interrupted=False) == ()
    runs, entries = Runs(client), made.epochs(0)
    for key in ("system/cpu_utilization_percentage", "system/disk_usage_percentage"):
        assert runs.history("trial 0", key) == [(e["epoch"], rounded(e[key])) for e in entries]
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


def test_two_studies_of_one_name_share_an_experiment_and_have_pages_of_their_own(
    study, connect, client, tmp_path
):
    first = study()
    tracker = opened(first, connect)
    play(first, tracker, 1)
    assert tracker.close(interrupted=False) == ()
    other = made_study(tmp_path / "other", name="toy", trials=2, failed=(), tables=False)
    tracker = opened(other, connect)
    tracker.close(interrupted=False)
    experiment = client.get_experiment_by_name("toy")
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["role"] for run in runs).count("study") == 2
    keys = {name for name in experiment.tags if name.startswith("mlflow.sharedViewState.")}
    assert keys == {
        f"mlflow.sharedViewState.{kind}-{record.facts['id'][:8]}"
        for kind in ("trials", "compare")
        for record in (first, other)
    }
    for record in (first, other):
        parent = record.facts["mlflow:study"]["run"]
        all_runs = client.search_runs(
            [experiment.experiment_id], f"tags.mlflow.parentRunId = '{parent}'"
        )
        assert len(all_runs) == len(record.outcomes())
    other.close()


def test_a_server_that_takes_no_pages_is_linked_plainly(study, connect, client, monkeypatch):
    made = study()

    def refuse(*_):
        raise MlflowException("too long", error_code=INVALID_PARAMETER_VALUE)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    mirror = connect(made)
    assert views.links(made, made.facts["mlflow:study"]) == {
        "trials": "#/experiments/1/runs?workflowType=machine_learning",
        "compare": "#/experiments/1/runs?workflowType=machine_learning&compareRunsMode=CHART",
    }
    assert mirror.study_run.id == made.facts["mlflow:study"]["run"]
