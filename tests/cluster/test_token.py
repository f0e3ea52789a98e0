import os

import pytest

from raylt.cluster import token


@pytest.mark.usefixtures("no_token")
def test_a_token_that_others_may_read_is_noticed(monkeypatch, tmp_path):
    assert token.use() is False
    path = tmp_path / "token"
    path.write_text("word")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    for mode in (0o644, 0o640, 0o604, 0o620):
        path.chmod(mode)
        assert token.exposed() == path
        assert f"may read {path}" in token.warnings()[0]
        assert "word" not in token.warnings()[0]
    path.chmod(0o600)
    assert token.exposed() is None
    assert token.warnings() == ()
    assert token.use() is True
    assert os.environ["RAY_AUTH_MODE"] == "token"
