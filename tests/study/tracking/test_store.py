import http.server
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error

import pytest

from raylt.schema import EnvironmentError
from raylt.study.tracking import store

MAKE = (
    "from raylt.study.resources import environment; environment.prepare_mlflow(); "
    "from raylt.study.tracking import store; import sys; store.ensure(sys.argv[1])"
)


def begin(uri):
    return subprocess.Popen([sys.executable, "-c", MAKE, uri], stderr=subprocess.PIPE, text=True)


def tables(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    finally:
        database.close()


@pytest.mark.slow
def test_a_store_whose_maker_was_killed_is_made_anew(tmp_path):
    """MLflow itself would say for ever that a table of its migration exists already."""
    uri = store.default_uri(tmp_path)
    draft = tmp_path / ".mlflow.db.draft"
    maker = begin(uri)
    end = time.monotonic() + 60
    while not (draft.exists() and "runs" in tables(draft)):
        assert maker.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    os.kill(maker.pid, signal.SIGKILL)
    maker.communicate()
    assert not (tmp_path / "mlflow.db").exists()

    # Two at once, as two searches that begin together.
    both = [begin(uri), begin(uri)]
    for item in both:
        _, err = item.communicate(timeout=120)
        assert item.returncode == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db"}
    assert {"runs", "metrics", "registered_models"} <= tables(tmp_path / "mlflow.db")


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


@pytest.mark.parametrize("name", ["a?b", "c%2Fd", "e#f", "g h"])
def test_a_store_lies_in_the_folder_of_runs_whatever_its_name(name, tmp_path):
    runs = tmp_path / name
    runs.mkdir()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store.ensure(store.default_uri(runs)))
    place = (runs / "artifacts" / "toy").as_uri()
    run = client.create_run(client.create_experiment("toy", artifact_location=place))
    client.log_text(run.info.run_id, "here", "note.txt")
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert {"mlflow.db", "artifacts"} <= {path.name for path in runs.iterdir()}
    assert next(runs.rglob("note.txt")).read_text() == "here"
