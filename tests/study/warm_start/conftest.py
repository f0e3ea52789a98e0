import json
import shutil

import pytest

from raylt.study.record import studies
from tests.study import made


@pytest.fixture(scope="session")
def _kept(tmp_path_factory):
    return {}, tmp_path_factory.mktemp("earlier")


@pytest.fixture
def old(_kept):
    """Makes a finished study below a folder; one that another test has made is copied."""
    known, place = _kept

    def make(folder, *overrides, name="old", **more):
        key = json.dumps([overrides, name, more])
        if key not in known:
            known[key] = place / str(len(known))
            made.study(known[key], *overrides, name=name, fingerprint="f" * 16, **more).close()
        shutil.copytree(known[key] / name, folder / "runs" / name)
        return studies.load(folder / "runs" / name, sampler=None)

    return make
