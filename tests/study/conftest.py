import shutil

import pytest

from raylt.study.record import storage, studies
from raylt.study.resources import environment
from raylt.study.search import sampler as draws
from tests.study.drive import FINGERPRINT, toy


@pytest.fixture(scope="session", autouse=True)
def _tables(tmp_path_factory):
    """Optuna makes its tables once; the database of a test's study begins as a copy of them."""
    empty, opened = tmp_path_factory.mktemp("optuna"), storage.opened
    opened(empty, None).engine.dispose()

    def copied(folder, url):
        if url is None and not (folder / "study.db").exists():
            shutil.copy(empty / "study.db", folder)
        return opened(folder, url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "opened", copied)
        yield


@pytest.fixture
def study(tmp_path):
    """Makes the toy study in the test's folder, or opens it once more as a new driver would."""
    made = []

    def make(*overrides, facts=None, warm=()):
        space = toy(tmp_path, *overrides)
        folder = tmp_path / "runs" / space.study.name
        if folder.exists():
            seen = studies.load(folder, sampler=None)
            sampler = draws.sampler(space, begun=len(seen.outcomes()))
            made.append(studies.load(folder, sampler=sampler))
        else:
            made.append(
                studies.create(
                    folder,
                    space,
                    sampler=draws.sampler(space, begun=0),
                    queue=draws.grid(space) if space.study.sampler.name == "grid" else (),
                    facts={
                        "floor": {"floor/logistic/accuracy": 0.83},
                        "fingerprint": FINGERPRINT,
                        **(facts or {}),
                    },
                    warm=warm,
                )
            )
        return made[-1]

    yield make
    for item in made:
        item.close()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow database with its tables, which take seconds to make."""

    environment.prepare_mlflow()
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(empty_store, tmp_path):
    """A fresh MLflow store; its URI."""
    (tmp_path / "runs").mkdir(exist_ok=True)
    path = tmp_path / "runs" / "mlflow.db"
    shutil.copy(empty_store, path)
    return f"sqlite:///{path}"
