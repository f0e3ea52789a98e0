import pytest

from raylt.cluster import bookings, ray_compat
from raylt.study.resources import environment
from tests.patience import wait_for


class Maker:
    """An actor that books a group, as Ray Train's controller does."""

    def book(self):
        from ray.util.placement_group import placement_group

        assert placement_group([{"CPU": 1}], name="left").wait(60)


@pytest.mark.ray
@pytest.mark.slow
def test_who_waits_what_is_kept_off_and_what_the_dead_hold():
    import ray
    from ray.util import placement_group

    from raylt.cluster import connect
    from raylt.study.resources import local_ray

    def free():
        return ray.available_resources().get("CPU", 0)

    environment.prepare_ray(threads=1, alone=True)
    with local_ray.ray_here(cpus=2, dashboard=False, preload=None):
        assert ray_compat.placement_groups() == ()
        # As Tune does for the process of a trial of several workers.
        process = placement_group([{"memory": 2**20}])
        assert process.wait(60)
        assert bookings.waiting() == 1
        maker = ray.remote(num_cpus=0)(Maker).remote()
        ray.get(maker.book.remote())
        assert bookings.waiting() == 0
        assert bookings.orphans() == {}
        ray.kill(maker)
        wait_for(bookings.orphans)
        assert list(bookings.orphans().values()) == ["1 cores and 0 GPUs"]
        # Without us the core stays booked for as long as the search lives.
        assert free() == 1
        assert bookings.waiting() == 1
        for _ in range(2):
            bookings.free_orphans()
        wait_for(lambda: free() == 2)
        assert bookings.orphans() == {}
        (node,) = connect.nodes()
        kept = bookings.keep_off(node)
        assert bookings.waiting() == 1
        # All of the machine is booked once the trial's process has ended.
        assert free() == 2
        for _ in range(2):
            bookings.cancel(process.id.hex())
        wait_for(lambda: free() == 0)
        assert bookings.waiting() == 0
        bookings.cancel(kept)
        wait_for(lambda: free() == 2)
