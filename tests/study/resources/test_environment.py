import logging
import os

import pytest

from raylt.study.resources import environment


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("RAY_", "TUNE_", "MLFLOW_", "OMP_")):
            monkeypatch.delenv(name)
    yield
    # What the test itself has set is nobody else's.
    for name in list(os.environ):
        if name.startswith(("RAY_", "TUNE_", "MLFLOW_", "OMP_")):
            del os.environ[name]


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    environment.prepare_ray(threads=2, alone=False)
    environment.prepare_mlflow()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_cluster_keeps_its_own_token():
    environment.prepare_ray(threads=1, alone=False)
    assert "RAY_AUTH_TOKEN" not in os.environ


@pytest.mark.parametrize(
    ("proxy", "before", "after"),
    [
        (None, None, None),
        ("http://proxy:3128", None, "127.0.0.1,localhost,::1"),
        ("http://proxy:3128", "a.example,localhost", "a.example,localhost,127.0.0.1,::1"),
    ],
)
def test_a_proxy_is_for_the_world_and_not_for_this_machine(proxy, before, after, monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in (("https_proxy", proxy), ("no_proxy", before), ("NO_PROXY", before)):
        # Set first, so that what the test itself sets is taken back.
        monkeypatch.setenv(name, value or "")
        if value is None:
            monkeypatch.delenv(name)
    environment.prepare_ray(threads=1, alone=True)
    assert (os.environ.get("no_proxy"), os.environ.get("NO_PROXY")) == (after, after)


def test_what_ray_tune_refuses_is_dropped_with_a_line(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="raylt")
    monkeypatch.setenv("TUNE_RESULT_DIR", "/scratch")
    monkeypatch.setenv("RAY_AIR_LOCAL_CACHE_DIR", "/scratch")
    monkeypatch.setenv("RAY_TUNE_CALLBACKS", "mine.Callback")
    monkeypatch.setenv("TUNE_STATE_REFRESH_PERIOD", "often")
    monkeypatch.setenv("TUNE_WARN_THRESHOLD_S", "0.5")
    environment.prepare_ray(threads=1, alone=False)
    for name in ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR", "RAY_TUNE_CALLBACKS"):
        assert name not in os.environ
    assert "TUNE_STATE_REFRESH_PERIOD" not in os.environ
    assert os.environ["TUNE_WARN_THRESHOLD_S"] == "0.5"
    assert len(caplog.messages) == 4
    assert "TUNE_STATE_REFRESH_PERIOD must be a number, but is 'often'" in caplog.text


def test_any_number_of_ray_tune_must_be_one_and_its_texts_may_be_anything(monkeypatch):
    monkeypatch.setenv("TUNE_DISABLE_DATED_SUBDIR", "yes")
    monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "no")
    monkeypatch.setenv("TUNE_RESULT_DELIM", ".")
    environment.prepare_ray(threads=1, alone=False)
    assert "TUNE_DISABLE_DATED_SUBDIR" not in os.environ
    assert os.environ["RAY_CHDIR_TO_TRIAL_DIR"] == "0"
    assert os.environ["TUNE_RESULT_DELIM"] == "."
