import os
import signal
import threading

import pytest

from raylt.study.run.interrupt import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_a_flag_and_the_second_ends_at_once(number):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.seen
        os.kill(os.getpid(), number)
        assert interruption.seen
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_thread_does_without_signals():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with Interruption() as interruption:
            seen.append((interruption.seen, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
