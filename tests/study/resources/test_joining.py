"""Machines that join a cluster and leave it while its trials run; see also tests/cluster."""

import logging
import math

import pytest

from raylt.cluster import bookings, connect
from raylt.settings import Settings
from raylt.study.resources.allocation import Allocation
from raylt.study.resources.joining import Machines, followed
from tests.cluster.made import node, shape


class Cluster:
    """Machines as a test says, and what became of them."""

    def __init__(self, monkeypatch, most=math.inf):
        self.there = [node(2, name="a")]
        self.apart = {}
        self.asked, self.kept_off, self.told = [], [], []
        self.now = 1000.0
        monkeypatch.setattr(connect, "nodes", lambda: self.there)
        monkeypatch.setattr(bookings, "keep_off", self.keep_off)
        monkeypatch.setattr(bookings, "cancel", self.kept_off.remove)
        monkeypatch.setattr("raylt.study.resources.joining.time.monotonic", lambda: self.now)
        share = Allocation(shape=shape(), concurrent=2, machines=tuple(self.there), most=most)
        self.machines = Machines(
            share, check=self.ask, duty="see it", remedy="mount it", say=self.told.append
        )

    def ask(self, machines):
        self.asked.append([machine.name for machine in machines])
        return {machine: self.apart.get(machine.name, "") for machine in machines}

    def keep_off(self, machine):
        self.kept_off.append(machine.name)
        return machine.name

    def look(self, seconds=5):
        self.now += seconds
        self.machines.look()
        return self.machines.concurrent


@pytest.fixture
def cluster(monkeypatch):
    return Cluster(monkeypatch)


def test_machines_that_join_and_leave_change_how_many_trials_run(cluster):
    assert cluster.look() == 2
    # The head of a cluster has no room for a trial, and nobody needs to ask it.
    cluster.there += [node(3, name="b"), node(0, name="head")]
    assert cluster.look() == 5
    assert cluster.look() == 5
    del cluster.there[0]
    assert cluster.look() == 3
    assert cluster.asked == [["b"]]
    assert cluster.told == [
        "b (3 cores, 0 GPUs) joined: 5 trials at a time",
        "a (2 cores, 0 GPUs) left: 3 trials at a time",
    ]
    # Whoever is asked when all are gone must not wait for ever for an answer.
    cluster.there = []
    assert cluster.look() == 1


def test_no_more_run_than_are_wanted(monkeypatch):
    cluster = Cluster(monkeypatch, most=4)
    cluster.there.append(node(3, name="b"))
    assert cluster.look() == 4


def test_a_machine_that_shares_nothing_is_kept_off_until_it_does(cluster, caplog):
    cluster.there.append(node(3, name="b"))
    cluster.apart["b"] = "No such file or directory"
    with caplog.at_level(logging.WARNING, logger="raylt"):
        assert cluster.look() == 2
        assert cluster.look() == 2
    assert cluster.kept_off == ["b"]
    assert cluster.asked == [["b"]]
    assert caplog.messages == [
        "Node b joined but cannot see it (No such file or directory); not used; mount it"
    ]
    cluster.look(30)
    assert cluster.kept_off == ["b"]
    cluster.apart.clear()
    assert cluster.look(30) == 5
    assert cluster.kept_off == []
    assert cluster.look() == 5


def test_a_machine_that_is_kept_off_and_goes_is_forgotten(cluster):
    cluster.there.append(node(3, name="b"))
    cluster.apart["b"] = "it reads another file there"
    cluster.look()
    del cluster.there[1]
    assert cluster.look() == 2
    assert cluster.kept_off == []


def test_at_the_end_nothing_is_kept_off(cluster):
    cluster.there.append(node(3, name="b"))
    cluster.apart["b"] = "it reads another file there"
    cluster.look()
    assert cluster.kept_off == ["b"]
    cluster.machines.let_go()
    assert cluster.kept_off == []


def test_a_look_that_fails_is_told_and_not_repeated_at_once(cluster, monkeypatch, caplog):
    monkeypatch.setattr(connect, "nodes", lambda: 1 / 0)
    cluster.machines.look_or_warn()
    cluster.now += 5
    cluster.machines.look_or_warn()
    assert [record.getMessage() for record in caplog.records] == [
        "cannot see now which machines join or leave: division by zero"
    ]
    cluster.now += 30
    cluster.machines.look_or_warn()
    assert len(caplog.records) == 2


def test_this_machine_alone_is_not_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(connect, "nodes", lambda: pytest.fail("there is no cluster"))
    share = Allocation(shape=shape(), concurrent=2, machines=(node(2),))
    with followed(share, Settings(runs=tmp_path), bucket=None, say=pytest.fail) as concurrent:
        assert concurrent() == 2
