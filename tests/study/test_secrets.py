"""What is secret on the machine of a search is in none of the files that it leaves."""

import pytest

from raylt.study import tracking

CANARY = "canary-8b1f"


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_no_secret_of_the_environment_or_a_uri_reaches_any_file(
    study, store, tmp_path, monkeypatch
):
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "MY_PASSWORD", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    made, runs = study(), tmp_path / "runs"
    mirror = tracking.open_mirror(
        made, uri=store, artifacts=runs / "artifacts",
        command=tracking.public(f"raylt tune --tracking-uri http://me:{CANARY}@mlflow:5000"),
    )  # fmt: skip
    mirror.finish(interrupted=False)
    made.close()
    files = [path for path in runs.rglob("*") if path.is_file()]
    assert {"mlflow.db", "study.db"} <= {path.name for path in files}
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]
