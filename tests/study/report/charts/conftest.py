import pytest

from tests.study import made


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return made.study(tmp_path_factory.mktemp("charts"), trials=18)
