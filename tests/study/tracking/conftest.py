import pytest

from raylt.study.resources import environment
from raylt.study.tracking import tracker as tracking


@pytest.fixture
def connect(study, store, tmp_path):
    """Opens the mirror of a study in the store."""

    def make(made):
        return tracking.open_mirror(
            made, uri=store, artifacts=tmp_path / "runs" / "artifacts", command="raylt tune x"
        )

    return make


@pytest.fixture
def client(store):
    environment.prepare_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store)
