import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from raylt import uris
from raylt.study.record import studies
from raylt.study.tracking import moved, tracker, ui
from raylt.study.tracking import store as stores
from tests.study import made


@pytest.fixture(scope="module")
def original(empty_store, tmp_path_factory):
    """A study in MLflow, its runs with artifacts. Another process has sent them: MLflow remembers
    the place of a run's artifacts for as long as a process lives."""
    runs = tmp_path_factory.mktemp("original") / "runs"
    made.study(runs, trials=1, failed=(), stopped=(), tables=True).close()
    shutil.copy(empty_store, runs / "mlflow.db")
    code = f"from tests.study.tracking.test_moved import *; first(Path({str(runs)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
    return runs


@pytest.fixture
def tracked(original, tmp_path):
    """The study in a folder of the test's own, which names itself."""
    runs = tmp_path / "runs"
    shutil.copytree(original, runs)
    moved.heal(runs / "mlflow.db")
    return runs


def first(runs):
    send(studies.open_study("made", runs), runs)


def send(record, runs):
    uri = stores.default_uri(runs)
    mirror = tracker.open_mirror(record, uri=uri, artifacts=runs / "artifacts", command="")
    mirror.trial(0, interrupted=False)
    mirror.runs.attach(mirror.study_run, {"more.txt": b"more"})
    return mirror


def places(runs):
    with sqlite3.connect(runs / "mlflow.db") as database:
        rows = database.execute("SELECT artifact_uri FROM runs").fetchall()
        rows += database.execute(
            "SELECT artifact_location FROM experiments WHERE name = 'made'"
        ).fetchall()
    database.close()
    return [place for (place,) in rows]


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
@pytest.mark.parametrize("name", ["moved", "with a blank & 100%"])
def test_artifacts_go_where_the_runs_are_now(move, name, tracked, tmp_path):
    there = tmp_path / name
    move(tracked, there)
    before = files(tracked)
    record = studies.open_study("made", there)
    mirror = send(record, there)
    record.close()
    assert all(
        place.startswith(f"{(there / 'artifacts').as_uri()}/made") for place in places(there)
    )
    assert files(tracked) == before
    names = [file.path for file in mirror.runs.client.list_artifacts(mirror.study_run.id)]
    assert "more.txt" in names
    assert "space.yaml" in names


def test_what_was_sent_before_a_move_is_not_sent_again(tracked, tmp_path):
    # The facts still name the first place of the store.
    there = tmp_path / "there"
    shutil.move(tracked, there)
    record = studies.open_study("made", there)
    uri = uris.sqlite(there / "mlflow.db")
    assert record.facts["mlflow:trial/0"]["uri"] != uri
    pages = dict(ui.pages(there, None, None, uri)[1])
    mirror = tracker.open_mirror(record, uri=uri, artifacts=there / "artifacts", command="")
    assert mirror.missing() == ()
    assert tracker.pending(record, uri, {}) == 0
    for key in ("mlflow:study", "mlflow:trial/0"):
        assert record.facts[key]["uri"] == uri
    assert pages["trials"].startswith("#/experiments/1/runs?")
    record.close()


def test_a_database_without_tables_names_no_place(tmp_path):
    (tmp_path / "mlflow.db").touch()
    moved.heal(tmp_path / "mlflow.db")
    assert (tmp_path / "mlflow.db").read_bytes() == b""


def test_what_the_user_put_elsewhere_stays_there(tracked, tmp_path):
    with sqlite3.connect(tracked / "mlflow.db") as database:
        database.execute(
            "UPDATE experiments SET artifact_location = 's3://bucket/artifacts/made' "
            "WHERE name = 'made'"
        )
    database.close()
    there = tmp_path / "there"
    shutil.move(tracked, there)
    stores.ensure(uris.sqlite(there / "mlflow.db"))
    assert "s3://bucket/artifacts/made" in places(there)


def test_nothing_grows_in_the_old_place_of_runs_that_were_moved_meanwhile(tracked, tmp_path):
    record = studies.open_study("made", tracked)
    mirror = send(record, tracked)
    shutil.move(tracked, tmp_path / "there")
    with pytest.raises(FileNotFoundError, match="was moved or removed"):
        mirror.runs.attach(mirror.study_run, {"late.txt": b"late"})
    record.close()
    assert not tracked.exists()
