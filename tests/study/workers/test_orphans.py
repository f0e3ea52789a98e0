import time

import pytest

from raylt.study.resources import environment
from raylt.study.workers import orphans
from raylt.study.workers.orphans import OrphanReaper
from tests.patience import wait_for


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(orphans.time, "monotonic", lambda: Clock.now)
    return Clock


def test_ray_train_has_its_time_before_an_orphan_is_freed(clock):
    freed, there = [], {"g": "2 cores and 0 GPUs"}
    home = OrphanReaper(lambda: there, freed.append)
    home.visit()
    clock.now += orphans.GRACE - 1
    home.visit()
    assert freed == []
    clock.now += 2
    home.visit()
    assert freed == ["g"]


def test_an_orphan_that_is_gone_is_forgotten(clock):
    freed, there = [], {"g": "2 cores and 0 GPUs"}
    home = OrphanReaper(lambda: dict(there), freed.append)
    home.visit()
    there.clear()
    clock.now += orphans.GRACE + 1
    home.visit()
    there["g"] = "2 cores and 0 GPUs"
    home.visit()
    assert freed == []


def test_what_a_group_holds_is_said_in_words():
    assert orphans.holding([{"CPU": 2.0, "GPU": 0.5}] * 2) == "4 cores and 1 GPUs"


@pytest.mark.ray
@pytest.mark.slow
def test_a_group_of_a_dead_process_is_found_and_freed(monkeypatch):
    import ray

    from raylt.study.resources import local_ray

    class Maker:
        """An actor that books a group, as Ray Train's controller does."""

        def book(self):
            from ray.util.placement_group import placement_group

            assert placement_group([{"CPU": 1}], name="left").wait(60)

    monkeypatch.setattr(orphans, "GRACE", 0.0)
    environment.prepare_ray(threads=1, alone=True)
    with local_ray.ray_here(cpus=1, dashboard=False, preload=None):
        made = ray.remote(num_cpus=0)(Maker).remote()
        ray.get(made.book.remote())
        assert orphans.orphans() == {}
        ray.kill(made)
        wait_for(orphans.orphans)
        assert list(orphans.orphans().values()) == ["1 cores and 0 GPUs"]
        # Without us the core stays booked for as long as the search lives.
        assert ray.available_resources().get("CPU", 0) == 0
        home = OrphanReaper()
        home.visit()
        time.sleep(0.01)
        home.visit()
        wait_for(lambda: ray.available_resources().get("CPU") == 1)
        assert orphans.orphans() == {}
