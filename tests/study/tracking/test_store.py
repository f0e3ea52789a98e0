import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

MAKE = (
    "from raylt.study.tracking import tracker; environment.prepare_mlflow(); "
    "from raylt.study.tracking import store; import sys; store.made(sys.argv[1])"
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
    from raylt.study.tracking import store

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
    for one in both:
        _, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db"}
    assert {"runs", "metrics", "registered_models"} <= tables(tmp_path / "mlflow.db")
