import logging
import time

import pytest

from raylt.cluster.room import Node
from raylt.study.watchdog import Watchdog, reason

ALIVE = [Node(id="a", name="a", address="10.0.0.1", cpus=4, gpus=1)]


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="raylt")
    return caplog


def wait_for(done):
    deadline = time.monotonic() + 10
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done()


def test_silence_is_explained_once_for_each_time_of_patience(warnings):
    with Watchdog(lambda: "the reason", patience=0.2):
        wait_for(lambda: len(warnings.records) == 2)
    assert "the reason" in warnings.records[0].getMessage()


def test_news_keep_it_quiet(warnings):
    with Watchdog(lambda: "the reason", patience=1.0) as dog:
        for _ in range(30):
            dog.reported(None, {})
            time.sleep(0.05)
    assert not warnings.records


def test_a_look_that_fails_is_a_reason_too(warnings):
    def look():
        raise ConnectionError("the head is gone")

    with Watchdog(look, patience=0.1):
        wait_for(lambda: len(warnings.records) > 0)
    assert "the head is gone" in warnings.records[0].getMessage()


def test_workers_without_a_place_are_named_with_what_is_free():
    group = {"bundles": {0: {"CPU": 8.0, "node:x": 0.1}}, "strategy": "STRICT_SPREAD"}
    told = reason(ALIVE, lost=["b"], waiting=[group], free={"CPU": 4.0})
    assert "{'CPU': 8.0}" in told
    assert "free are 4 cores and 0 GPUs of a (4 cores, 1 GPU)" in told
    assert "b died" in told


def test_a_hang_is_not_blamed_on_room():
    assert "worker hangs" in reason(ALIVE, lost=[], waiting=[], free={"CPU": 4.0})
