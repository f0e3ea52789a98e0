"""MLflow's UI: the links that it prints, and a store that has a password."""

import contextlib
import io
import re
import shlex
import shutil
import threading

import pytest

from raylt import cli, uris
from raylt.schema import EnvironmentError, InputError
from raylt.study.tracking import tracker, ui
from tests.study import made

MACHINE_LEARNING = "workflowType=machine_learning"
SHARE = "viewStateShareKey="
URI = "postgresql://me:canary-8b1f@127.0.0.1:9/mlflow"


@pytest.fixture
def server(monkeypatch):
    """A server that is ended at once by Ctrl-C; what it was started with, and browsers' links."""
    seen = {"opened": [], "browser": True}

    class Server:
        pid = 0

        def __init__(self, command, *, env, **_):
            seen.update(command=command, env=env)

        def wait(self, timeout=None):
            if timeout is None:
                raise KeyboardInterrupt
            return 0

    monkeypatch.setattr(
        "subprocess.Popen", lambda *a, **k: contextlib.nullcontext(Server(*a, **k))
    )
    monkeypatch.setattr("os.killpg", lambda *_: None)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO())
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(
        "webbrowser.open", lambda link: seen["opened"].append(link) or seen["browser"]
    )
    return seen


@pytest.fixture
def tracked(tmp_path, empty_store):
    """A folder of runs with a study whose run is in the store."""
    record = made.study(tmp_path, trials=1, failed=(), tables=False)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    uri = uris.sqlite(tmp_path / "mlflow.db")
    tracker.open_mirror(record, uri=uri, artifacts=tmp_path / "artifacts", command="")
    yield record
    record.close()


def test_two_links_land_on_the_trials_of_the_latest_study(tracked, server, capsys):
    runs = tracked.folder.parent
    ui.serve(runs, None, 0)
    wait_for_threads()
    key = tracked.facts["id"][:8]
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"starting MLflow over {runs} ..."
    assert lines[0] == f"MLflow shows {runs} on http://127.0.0.1:0 (Ctrl-C ends it)"
    assert lines[1] == "made, trials, best first:"
    assert lines[2].endswith(f":0/#/experiments/1/runs?{MACHINE_LEARNING}&{SHARE}trials-{key}")
    assert lines[4].endswith(f"&{SHARE}compare-{key}&compareRunsMode=CHART")
    assert server["command"][8:10] == ["--app-name", "raylt"]


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "links":
            thread.join(5)


@pytest.mark.parametrize("browser", [True, False])
def test_the_first_link_opens_once_the_server_answers(
    tracked, server, monkeypatch, capsys, browser
):
    server["browser"] = browser
    answers = [io.BytesIO(), None]

    def urlopen(*_, **__):
        if (answer := answers.pop()) is None:
            raise ConnectionRefusedError
        return answer

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    ui.serve(tracked.folder.parent, None, 0, browse=True)
    wait_for_threads()
    (opened,) = server["opened"]
    assert not answers
    assert SHARE + "trials-" in opened
    assert ("No browser was found" in capsys.readouterr().out) is not browser


def test_a_study_on_a_server_is_linked_there_and_nothing_is_started(tracked, server, capsys):
    fact = {**tracked.facts["mlflow:study"], "uri": "http://host:5000"}
    tracked.note("mlflow:study", fact)
    ui.serve(tracked.folder.parent, "http://me:canary@host:5000", 0, study="made", browse=True)
    message = capsys.readouterr().out
    assert message.count("http://host:5000/#/experiments/1/runs?") == 2
    assert "canary" not in message
    assert "command" not in server
    assert server["opened"][0].startswith("http://host:5000/#")


def test_a_study_that_is_not_in_the_store_is_named_with_the_command_that_sends_it(
    tracked, tmp_path, empty_store
):
    other = tmp_path / "other.db"
    shutil.copy(empty_store, other)
    with pytest.raises(InputError, match=r"but does not; `raylt resume made .*` sends it"):
        ui.serve(tracked.folder.parent, uris.sqlite(other), 0, study="made")
    with pytest.raises(InputError, match="must hold the study 'absent'"):
        ui.serve(tracked.folder.parent, None, 0, study="absent")


def test_the_command_that_is_printed_sends_the_study_and_brings_back_what_was_deleted(
    tmp_path, empty_store, monkeypatch
):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    made.study(tmp_path / "runs", trials=1, failed=(), stopped=(), tables=False).close()
    shutil.copy(empty_store, tmp_path / "runs" / "mlflow.db")
    with pytest.raises(InputError) as caught:
        ui.serve(tmp_path / "runs", None, 0, study="made")
    (command,) = re.findall("`(raylt resume .*?)`", str(caught.value))
    assert cli.run(shlex.split(command)[1:]) == 0
    uri = uris.sqlite(tmp_path / "runs" / "mlflow.db")
    pages = ui.pages(tmp_path / "runs", "made", None, uri)
    client = MlflowClient(tracking_uri=uri)
    client.delete_experiment(client.get_experiment_by_name("made").experiment_id)
    assert cli.run(shlex.split(command)[1:]) == 0
    experiment = client.get_experiment_by_name("made")
    assert experiment.lifecycle_stage == "active"
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert ui.pages(tmp_path / "runs", "made", None, uri) == pages


def test_no_other_user_sees_the_password_among_the_words_of_a_command(tmp_path, server, capsys):
    ui.serve(tmp_path, URI, 0)
    assert "canary" not in " ".join(server["command"])
    assert server["env"]["MLFLOW_BACKEND_STORE_URI"] == URI
    assert "canary" not in "".join(capsys.readouterr())


def test_what_is_no_database_is_told_before_a_server_starts(tmp_path):
    (tmp_path / "mlflow.db").write_text(
        "no database, but a text that is as long as a header\n" * 9
    )
    with pytest.raises(EnvironmentError, match="SQLite says: file is not a database; restore it"):
        ui.serve(tmp_path, None, 0)
    with pytest.raises(EnvironmentError, match="SQLite says: unable to open database file"):
        ui.serve(tmp_path, f"sqlite:///{tmp_path}/none/mlflow.db", 0)


def test_a_server_that_has_a_ui_is_named_without_its_password(tmp_path):
    with pytest.raises(InputError, match="open http://host:5000 in") as caught:
        ui.serve(tmp_path, "http://me:canary-8b1f@host:5000", 0)
    assert "canary" not in str(caught.value)
