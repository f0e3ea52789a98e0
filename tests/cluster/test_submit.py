import http.server
import json
import threading
import types

import pytest

from raylt.cluster import job as jobs
from raylt.cluster import submit
from raylt.schema import EnvironmentError, InputError

pytestmark = pytest.mark.usefixtures("no_token")


def job(**changes):
    fixed = {"words": ("tune",), "files": {"space.yaml": "a: 1\n"}, "ship": (), "label": "toy"}
    fixed |= {"again": "raylt resume toy", "variables": {}}
    return submit.Job(**{**fixed, **changes})


@pytest.fixture
def server():
    """A dashboard that only tells its version, to those who know the word `open`."""
    result = types.SimpleNamespace(version="2.60.0", status=200)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.headers.get("Authorization") == "Bearer open"
            self.send_response(result.status if known else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"ray_version": result.version}).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        result.address = f"http://127.0.0.1:{listening.server_port}"
        yield result
        listening.shutdown()
        thread.join()


def test_only_the_named_files_travel(tmp_path):
    module = tmp_path / "mine"
    (module / ".git" / "inner").mkdir(parents=True)
    (module / ".git").rename(module / "kept")
    (module / "__pycache__").mkdir()
    (module / "__pycache__" / "x.pyc").write_text("")
    (module / "method.py").write_text("x = 1\n")
    single = tmp_path / "helper.py"
    single.write_text("y = 2\n")
    target = tmp_path / "sent"
    target.mkdir()
    submit.pack(job(ship=(module, single)), target)
    sent = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    assert sent == {"space.yaml", "mine/method.py", "helper.py"}


def test_a_repository_is_never_shipped(tmp_path):
    (tmp_path / "code" / ".git").mkdir(parents=True)
    target = tmp_path / "t"
    target.mkdir()
    with pytest.raises(InputError, match="whole repository"):
        submit.pack(job(ship=(tmp_path / "code",)), target)


def test_a_missing_path_and_a_name_that_stands_twice_are_refused(tmp_path):
    target = tmp_path / "t"
    target.mkdir()
    with pytest.raises(InputError, match="there is no"):
        submit.pack(job(ship=(tmp_path / "none",)), target)
    twice = tmp_path / "space.yaml"
    twice.write_text("")
    with pytest.raises(InputError, match="is there twice"):
        submit.pack(job(ship=(twice,)), target)


def test_too_much_is_refused_with_the_five_largest_before_anything_is_copied(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for i in range(7):
        with (folder / f"part{i}.bin").open("wb") as file:
            file.truncate((12 + i) * 2**20)
    target = tmp_path / "t"
    target.mkdir()
    with pytest.raises(InputError) as refused:
        submit.pack(job(ship=(folder,)), target)
    assert "is 105 MiB" in str(refused.value)
    named = [f"part{i}.bin" in str(refused.value) for i in range(7)]
    assert named == [False, False, True, True, True, True, True]
    assert not (target / "data").exists()


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 2, 2),
        ("FAILED", 4, 4),
        ("FAILED", 130, 130),
        ("FAILED", 137, 1),
        ("FAILED", None, 1),
        ("STOPPED", None, 130),
        ("STOPPED", -15, 130),
    ],
)
def test_the_end_of_a_job_is_the_exit_code_of_its_command(status, driver, code):
    assert jobs.exit_code(status, driver) == code


def run(address):
    return submit.run(job(), address, wait=True, say=lambda text: None)


def test_no_token_and_a_wrong_one_are_told_apart(server, monkeypatch):
    with pytest.raises(EnvironmentError, match="we have none"):
        run(server.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    with pytest.raises(EnvironmentError, match="a different one"):
        run(server.address)


def test_an_old_ray_is_refused(server, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "open")
    server.version = "2.53.1"
    with pytest.raises(EnvironmentError, match=r"2\.54 or newer"):
        run(server.address)


def test_what_is_no_dashboard_is_said_so(server, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "open")
    server.status = 404
    with pytest.raises(EnvironmentError, match=r"ray\[default\]"):
        run(server.address)
    with pytest.raises(EnvironmentError, match="dashboard must answer"):
        run("http://127.0.0.1:9")


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o600, False)])
def test_who_sends_a_job_is_warned_of_a_token_that_others_may_read(
    server, monkeypatch, tmp_path, mode, warned
):
    path = tmp_path / "token"
    path.write_text("open")
    path.chmod(mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.setattr(submit, "_send", lambda *_: (None, "raylt-toy-1"))
    messages = []
    assert submit.run(job(), server.address, wait=False, say=messages.append) == 0
    assert messages[-1] == "raylt-toy-1\n"
    assert any("other users" in text for text in messages) is warned
