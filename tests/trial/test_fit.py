import pytest

from raylt.trial.fit import Diverged
from tests.trial.made import run, small


def test_a_run_that_diverges_says_so_within_the_epoch(tmp_path):
    reports = []
    with pytest.raises(Diverged, match=r"became (nan|inf)"):
        run(small("bcl", optimizer={"lr": 1e30, "batch_size": 64}), tmp_path, reports.append)
    assert not reports
