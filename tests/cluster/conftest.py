import pytest

from tests.cluster import drill as drills


@pytest.fixture
def drill(tmp_path):
    """Pretend hosts, all gone after the test."""
    with drills.drilled(tmp_path) as one:
        yield one
