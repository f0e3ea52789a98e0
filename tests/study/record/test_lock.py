import os
import socket

import pytest

from raylt.schema import EnvironmentError
from raylt.study.record import lock
from raylt.study.record.postgres import Driver


def test_a_second_driver_is_refused_with_the_process_of_the_first(tmp_path):
    folder = tmp_path / "toy"
    assert lock.driver_of(folder, None) is None
    with lock.locked(folder, None):
        assert lock.driver_of(folder, None) == Driver(os.getpid(), socket.gethostname())
        with pytest.raises(
            EnvironmentError, match=rf"already running \(process {os.getpid()} on "
        ):
            lock.locked(folder, None).__enter__()
    assert lock.driver_of(folder, None) is None
