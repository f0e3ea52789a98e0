import pytest

from raylt.cluster.capacity import Need, Node
from raylt.settings import Settings
from raylt.study.resources import allocation


def measure(shape):
    return Need(memory=1.0, gpu_memory=0.0, gpu_size=0.0, gpu_busy=0.0)


@pytest.mark.parametrize(
    ("concurrent", "trials", "expected"),
    [
        (None, None, 3),
        (None, 16, 3),
        (None, 2, 2),
        (2, 16, 2),
        (2, 1, 1),
        (9, 16, 3),
        (None, 0, 3),
    ],
)
def test_no_more_trials_at_a_time_than_fit_are_wished_and_are_left(
    tmp_path, concurrent, trials, expected
):
    asked = Settings(runs=tmp_path, concurrent=concurrent)
    node = Node(id="", name="here", address="", cpus=3, gpus=0, memory=2**30)
    share = allocation.allocate(asked, [node], measure, trials=trials)
    assert share.concurrent == expected
    assert f": {expected} trial{'' if expected == 1 else 's'} at a time" in str(share)
