import logging
import time

import pytest

from raylt.cluster.capacity import Node, Shape
from raylt.study.record.listener import Task
from raylt.study.run.watchdog import reason, watching
from tests.patience import wait_for

SHAPE = Shape(workers=2, least=1, cpus=8, gpus=0, placement="pack")


def told(*, lost=(), waiting=(), free=4.0, homeless=0, orphaned=()):
    return reason(
        ALIVE,
        lost=lost,
        waiting=waiting,
        free={"CPU": free},
        shape=SHAPE,
        homeless=homeless,
        orphaned=orphaned,
    )


ALIVE = [Node(id="a", name="a", address="10.0.0.1", cpus=4, gpus=1)]


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, logger="raylt")
    return caplog


def test_silence_is_explained_once_for_each_time_of_patience(warnings):
    with watching(lambda running: "the reason", patience=0.2):
        wait_for(lambda: len(warnings.records) == 2)
    assert "the reason" in warnings.records[0].getMessage()


def test_news_keep_it_quiet(warnings):
    with watching(lambda running: "the reason", patience=1.0) as dog:
        for _ in range(30):
            dog.reported(None, {})
            time.sleep(0.05)
    assert not warnings.records


def test_a_look_that_fails_is_a_reason_too(warnings):
    def look(running):
        raise ConnectionError("the head is gone")

    with watching(look, patience=0.1):
        wait_for(lambda: len(warnings.records) > 0)
    assert "the head is gone" in warnings.records[0].getMessage()


def test_workers_without_a_place_are_named_with_what_is_free():
    group = {"bundles": {0: {"CPU": 8.0, "node:x": 0.1}}, "strategy": "STRICT_SPREAD"}
    text = told(lost=["b"], waiting=[group])
    assert "{'CPU': 8.0}" in text
    assert "4 cores and 0 GPUs are free of a (4 cores, 1 GPU)" in text
    assert "b died" in text


def test_trials_that_wait_for_room_are_named_with_what_they_take_and_who_holds_it():
    text = told(homeless=1, orphaned=["16 cores and 0 GPUs"])
    assert "1 trials wait for 1 to 2 workers (8 cores each, pack)" in text
    assert "dead processes hold 16 cores and 0 GPUs" in text


def test_a_hang_is_not_blamed_on_room():
    assert "worker hangs" in told()


def test_the_look_is_told_how_many_trials_run():
    seen = []
    with watching(lambda running: str(seen.append(running)), patience=0.1) as dog:
        for number in (1, 2, 3):
            dog.started(Task(number, "search", {}, None, 1))
        dog.ended(Task(2, "search", {}, None, 1), None)
        wait_for(lambda: 2 in seen)
