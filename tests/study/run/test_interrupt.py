import os
import signal
import threading

import pytest

from raylt.study.run.interrupt import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_a_flag_and_the_second_ends_at_once(number):
    before = signal.getsignal(number)
    messages = []
    with Interruption(messages.append) as interruption:
        assert not interruption.seen
        os.kill(os.getpid(), number)
        assert interruption.seen
        by_key = number == signal.SIGINT
        more = "; press again to leave now" if by_key else f" ({signal.Signals(number).name})"
        assert messages == [f"stopping{more}"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_thread_does_without_signals():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with Interruption(print) as interruption:
            seen.append((interruption.seen, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def test_the_answer_says_what_is_saved_while_there_is_something():
    messages = []
    with (
        Interruption(print) as interruption,
        interruption.saying(messages.append, lambda: "stopping: saving 2 trials"),
    ):
        os.kill(os.getpid(), signal.SIGINT)
    assert messages == ["stopping: saving 2 trials; press again to leave now"]
