"""What MLflow is given of a finished study: numbers by trial, files by trial and study."""

import shutil

import pytest

from raylt.study.record.outcome import course
from raylt.study.tracking import artifacts, tracker
from raylt.study.tracking import mirror as mirrors
from tests.study import made


@pytest.fixture(scope="module")
def tracked(tmp_path_factory, empty_store):
    """A study, and a client of the store that mirrors it."""
    folder = tmp_path_factory.mktemp("tracked")
    record = made.study(folder, trials=4, stopped=(2,), failed=(3,))
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mirror = tracker.open_mirror(
        record, uri=uri, artifacts=folder / "artifacts", command="raylt tune"
    )
    for number in mirror.missing():
        mirror.trial(number, interrupted=False)
    mirror.finish(interrupted=False)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("made")
    return record, client, client.search_runs([experiment.experiment_id])


def paths(client, run, folder=None):
    collected = set()
    for entry in client.list_artifacts(run.info.run_id, folder):
        collected |= paths(client, run, entry.path) if entry.is_dir else {entry.path}
    return collected


def by_trial(runs):
    return {int(r.data.tags["trial"]): r for r in runs if "trial" in r.data.tags}


def test_a_trial_has_its_charts_and_its_table(tracked):
    _, client, runs = tracked
    trials = by_trial(runs)
    whole = {
        "recipe.json",
        "classes.json",
        "charts/curves.png",
        "charts/confusion.png",
        "charts/classes.png",
    }
    assert paths(client, trials[0]) == whole
    assert paths(client, trials[2]) == whole
    assert paths(client, trials[3]) == {"recipe.json"}


def test_in_a_large_study_only_what_stands_out_is_drawn(tmp_path, empty_store, monkeypatch):
    monkeypatch.setattr(mirrors, "DRAWN", 4)
    record = made.study(tmp_path, trials=5, failed=(), stopped=())
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setattr(
        artifacts, "of_trial", lambda _, number, drawn: collected.update({number: drawn}) or {}
    )
    collected = {}
    mirror = tracker.open_mirror(
        record,
        uri=f"sqlite:///{tmp_path / 'mlflow.db'}",
        artifacts=tmp_path / "artifacts",
        command="",
    )
    for number in mirror.missing():
        mirror.trial(number, interrupted=False)
    steps = course(record.outcomes(), record.space.study)
    best = {step.trial.number for step in steps if step.better}
    assert {number for number, drawn in collected.items() if drawn} == {0, *best}
    assert set(collected) == {0, 1, 2, 3, 4} != {0, *best}


def test_what_is_not_drawn_keeps_its_table(tmp_path):
    record = made.study(tmp_path, trials=1, failed=(), stopped=())
    assert set(artifacts.of_trial(record, 0, drawn=False)) == {"classes.json"}


def test_the_study_has_its_report_and_its_charts(tracked):
    record, client, runs = tracked
    parent = next(r for r in runs if r.data.tags["role"] == "study")
    result = paths(client, parent)
    assert {"space.yaml", "report.html", "charts/cost.png", "charts/pareto.png"} <= result
    assert {r.data.tags["mlflow.parentRunId"] for r in by_trial(runs).values()} == {
        parent.info.run_id
    }
    text = parent.data.tags["mlflow.note.content"]
    assert "raylt tune" in text
    assert f"trial {record.best().number}" in text


def test_a_chart_that_fails_costs_no_numbers(tmp_path, monkeypatch, caplog):
    record = made.study(tmp_path, trials=1, failed=(), stopped=())
    (record.trial_folder(0) / "classes.json").write_text("{")
    result = artifacts.of_trial(record, 0, drawn=True)
    assert list(result) == ["charts/not-drawn.txt"]
    assert b"classes.json must be readable" in result["charts/not-drawn.txt"]
    assert "could not be drawn" in caplog.text
