"""Work beside the main thread."""

import threading

import pytest

from raylt import threads
from tests.patience import wait_for


def test_work_in_the_background_gives_its_value_or_its_error():
    assert threads.in_background(lambda: 7).result() == 7
    with pytest.raises(ZeroDivisionError):
        threads.in_background(lambda: 1 / 0).result()


def test_a_look_is_repeated_until_the_end():
    looks = []
    with threads.every(0.01, lambda: looks.append(1)):
        wait_for(lambda: len(looks) > 2)
    count = len(looks)
    threading.Event().wait(0.05)
    assert len(looks) == count


def test_a_look_that_hangs_does_not_hold_up_the_end():
    hangs, goes_on = threading.Event(), threading.Event()

    def look():
        hangs.set()
        goes_on.wait()

    with threads.every(0.01, look, patience=0.05):
        assert hangs.wait(60)
    goes_on.set()
