import pytest

from tests.cluster import drill as drills


@pytest.fixture
def drill(tmp_path):
    """Pretend hosts, all gone after the test."""
    with drills.drilled(tmp_path) as item:
        yield item


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    """Neither the environment nor the home folder has a token."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
