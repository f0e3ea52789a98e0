import subprocess

import raylt
from raylt.study.record import provenance


def test_versions_are_those_that_are_installed():
    tags = provenance.tags()
    assert tags["version.raylt"] == raylt.__version__


def test_a_commit_is_named_with_whether_its_files_were_changed(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    assert provenance.commit(tmp_path) == {}
    git("init")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-m", "a")
    result = provenance.commit(tmp_path)
    assert (len(result["git.commit"]), result["git.dirty"]) == (40, "false")
    (tmp_path / "file").write_text("b")
    assert provenance.commit(tmp_path) == {**result, "git.dirty": "true"}
