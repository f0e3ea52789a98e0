"""A search that begins before all of its machines are there."""

import time

from tests.cluster.drill import MARKS

pytestmark = MARKS


def test_hosts_that_join_are_used_and_one_that_shares_nothing_is_not(drill):
    drill.cluster("a")
    # Long enough for three hosts to join, and for the minute that a trial waits to grow.
    drill.epochs = 80
    drill.pace(5)
    drill.begin("search", "head", workers=2, least=1, trials=2)
    drill.await_epoch(1)
    assert drill.on() == ["a"]
    drill.join("apart", private=(runs := drill.folder / "runs",))
    drill.wait(
        lambda: "Node apart joined but cannot see the runs folder" in drill.told(), "a warning"
    )
    began = time.monotonic()
    drill.join("b")
    drill.await_epoch(1, trial=1)
    # Of which the epoch itself takes five.
    drill.note("a host joins, and the next trial trains there", time.monotonic() - began - 5)
    assert drill.epoch() < drill.epochs
    assert (drill.on(0), drill.on(1)) == (["a"], ["b"])
    began = time.monotonic()
    drill.join("c")
    drill.wait(lambda: hosts(drill) == ["a", "b", "c"], "a trial of two workers")
    drill.note("another joins, and a trial grows to two workers", time.monotonic() - began)
    drill.pace(0.05)
    assert len(drill.end()["trials"]) == 2
    for line in ("b (1 core, 0 GPUs) joined: 2 trials", "c (1 core, 0 GPUs) joined: 2 trials"):
        assert line in drill.told()
    result = drill.hosts.hosts["apart"].run("find", str(runs), "-type", "f")
    assert result == ""


def hosts(drill):
    """Where the workers of both trials are."""
    return sorted(drill.on(0) + drill.on(1))
