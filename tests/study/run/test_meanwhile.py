import threading

import pytest

from raylt.study.run.meanwhile import meanwhile


def test_work_goes_on_while_the_caller_does_something_else():
    asked = threading.Event()
    value = meanwhile(lambda: asked.wait(10))
    asked.set()
    assert value() is True


def test_an_error_comes_out_where_the_value_is_wanted():
    value = meanwhile(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        value()
