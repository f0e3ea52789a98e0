"""What is secret on the machine of a search is in none of the files that it leaves."""

import subprocess

import pytest

from raylt.study.record import lock, provenance
from raylt.study.tracking import tracker
from raylt.uris import redacted_command

CANARY = "canary-8b1f"


@pytest.mark.parametrize("password", [CANARY, f"{CANARY}/@? '#{CANARY}", f'"{CANARY}%40'])
def test_no_secret_of_the_environment_or_a_uri_reaches_any_file(
    study, store, tmp_path, monkeypatch, password
):
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "MY_PASSWORD", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    made, runs = study(), tmp_path / "runs"
    mirror = tracker.open_mirror(
        made,
        uri=store,
        artifacts=runs / "artifacts",
        command=redacted_command(
            ["raylt", "tune", "--tracking-uri", f"http://me:{password}@mlflow:5000"]
        ),
    )
    mirror.finish(interrupted=False)
    made.close()
    files = [path for path in runs.rglob("*") if path.is_file()]
    assert {"mlflow.db", "study.db"} <= {path.name for path in files}
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


def test_of_a_repository_only_its_commit_is_told_and_whether_it_was_changed(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init")
    git("remote", "add", "origin", f"https://me:{CANARY}@host.example/code.git")
    (tmp_path / "code.py").write_text("key = None\n")
    git("add", "code.py")
    who = ("-c", "user.name=me", "-c", f"user.email={CANARY}@host.example")
    git(*who, "commit", "-m", f"a commit {CANARY}")
    assert provenance.commit(tmp_path)["git.dirty"] == "false"
    (tmp_path / "code.py").write_text(f"key = {CANARY!r}\n")
    printed = provenance.commit(tmp_path)
    assert printed.keys() == {"git.commit", "git.dirty"}
    assert printed["git.dirty"] == "true"
    assert CANARY not in str(printed)


@pytest.mark.parametrize(("mode", "warned"), [(0o777, True), (0o775, False), (0o1777, True)])
def test_a_study_that_anybody_may_change_is_warned_of(tmp_path, caplog, mode, warned):
    folder = tmp_path / "toy"
    folder.mkdir()
    folder.chmod(mode)
    with lock.locked(folder, None):
        pass
    assert ("every user of this machine may change" in caplog.text) is warned
