"""MLflow's UI over a store that has a password."""

import contextlib

import pytest

from raylt.schema import EnvironmentError, InputError
from raylt.study.tracking import ui

URI = "postgresql://me:canary-8b1f@127.0.0.1:9/mlflow"


def test_no_other_user_sees_the_password_among_the_words_of_a_command(
    tmp_path, monkeypatch, capsys
):
    seen = {}

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
    monkeypatch.setattr("signal.signal", lambda *_: None)
    ui.serve(tmp_path, URI, 0)
    assert "canary" not in " ".join(seen["command"])
    assert seen["env"]["MLFLOW_BACKEND_STORE_URI"] == URI
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
