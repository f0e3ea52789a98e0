import pytest

from raylt.cluster import bookings
from raylt.cluster.capacity import Shape
from raylt.study.resources import environment
from tests.patience import wait_for

ONE = Shape(workers=1, least=1, cpus=1, gpus=0, placement="pack")


@pytest.mark.ray
@pytest.mark.slow
def test_places_are_booked_once_and_a_trial_without_them_waits():
    import ray
    from ray.util import placement_group

    from raylt.cluster import connect
    from raylt.study.resources import local_ray

    environment.prepare_ray(threads=1, alone=True)
    with local_ray.ray_here(cpus=2, dashboard=False, preload=None):
        assert bookings.booked() == ()
        # As Tune does for the process of a trial of several workers.
        process = placement_group([{"memory": 2**20}])
        assert process.wait(60)
        assert bookings.waiting() == 1
        assert not any(one.orphaned for one in bookings.booked())
        booked = bookings.book(ONE, workers=2)
        assert booked
        assert bookings.waiting() == 0
        assert [one.trains for one in bookings.booked()].count(True) == 1
        assert bookings.book(ONE, workers=1) is None
        assert len(bookings.booked()) == 2
        for _ in range(2):
            bookings.cancel(booked)
        wait_for(lambda: ray.available_resources().get("CPU") == 2)
        assert bookings.waiting() == 1
        (node,) = connect.nodes()
        kept = bookings.keep_off(node)
        assert len(bookings.booked()) == 1
        # All of the machine is booked once the trial's process has ended.
        assert ray.available_resources().get("CPU") == 2
        bookings.cancel(process.id.hex())
        wait_for(lambda: ray.available_resources().get("CPU", 0) == 0)
        assert bookings.booked() == ()
        bookings.cancel(kept)
        wait_for(lambda: ray.available_resources().get("CPU") == 2)
