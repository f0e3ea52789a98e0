"""Waiting for what happens in another thread or process."""

import time


def wait_for(done):
    """Until `done()` is true, for a minute at most."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
