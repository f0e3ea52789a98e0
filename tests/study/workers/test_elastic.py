import itertools

import pytest

from raylt.cluster import bookings, connect
from raylt.cluster.capacity import Node, Shape
from raylt.study.workers import elastic


def node(cpus, name="a"):
    return Node(id=name, name=name, address="", cpus=cpus, gpus=0)


def shape(workers, least):
    return Shape(workers=workers, least=least, cpus=1, gpus=0, placement="pack")


@pytest.fixture
def machines(monkeypatch):
    """Machines as a test says, and a clock that it moves."""

    class Machines:
        now = 1000.0
        free = (0.0,)
        slept = 0
        waiting = 0

        def sleep(self, seconds):
            self.now += seconds
            self.slept += 1
            if self.slept == 3:
                self.free = (2.0,)

    machines = Machines()
    monkeypatch.setattr(connect, "free", lambda: [node(c) for c in machines.free])
    monkeypatch.setattr(connect, "nodes", lambda: [node(4.0)])
    monkeypatch.setattr(elastic.time, "sleep", machines.sleep)
    monkeypatch.setattr(elastic.time, "monotonic", lambda: machines.now)
    monkeypatch.setattr(bookings, "waiting", lambda: machines.waiting)
    monkeypatch.setattr(bookings, "orphans", lambda: {})
    monkeypatch.setattr(elastic, "_own_nodes", lambda: ["a"])
    return machines


def test_a_trial_waits_until_the_fewest_workers_have_room(machines):
    workers = elastic.wait_for_room(shape(4, 2), counts=(2, 4), trials=1, growing=False)
    assert workers == 2
    assert machines.slept == 3


@pytest.mark.parametrize(("waiting", "workers"), [(1, 4), (2, 2)])
def test_a_trial_that_grows_takes_what_is_free_unless_another_one_waits(
    machines, waiting, workers
):
    machines.free = (4.0,)
    machines.waiting = waiting
    growing = {"counts": (1, 2, 4), "trials": 2, "growing": True}
    assert elastic.wait_for_room(shape(4, 1), **growing) == workers


def test_a_group_stays_small_while_another_trial_is_about_to_begin(machines):
    growth = elastic.Growth(shape(4, 1), counts=(1, 2, 4), workers=1)
    machines.free = (1.0,)
    machines.waiting = 1
    for _ in range(20):
        machines.now += elastic.PATIENCE
        assert not growth.due()
    machines.waiting = 0
    machines.now += elastic.PATIENCE
    assert not growth.due()
    machines.now += elastic.PATIENCE
    assert growth.due()


def test_a_group_grows_once_there_was_room_for_a_while(machines):
    growth = elastic.Growth(shape(4, 1), counts=(1, 2, 4), workers=1)
    machines.free = (1.0,)
    due = []
    for _ in range(20):
        machines.now += elastic.PATIENCE / 10
        due.append(growth.due())
    assert due.index(True) == 10


def test_room_that_another_trial_takes_begins_the_wait_anew(machines):
    growth = elastic.Growth(shape(4, 1), counts=(1, 2, 4), workers=1)
    for free in itertools.islice(itertools.cycle([3.0] * 5 + [0.0]), 60):
        machines.free = (free,)
        machines.now += elastic.PATIENCE / 6
        assert not growth.due()


def test_room_for_a_number_that_does_not_divide_the_batch_is_no_room(machines):
    growth = elastic.Growth(shape(4, 1), counts=(1, 2, 4), workers=2)
    machines.free = (1.0,)
    for _ in range(20):
        machines.now += elastic.PATIENCE
        assert not growth.due()
