"""Work beside the main thread: begun in the background, or repeated for a while.

The threads are daemons, so a command that is interrupted does not wait for them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Future[T]:
    """Begin work in a thread."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return future


@contextlib.contextmanager
def every(
    seconds: float, look: Callable[[], object], *, patience: float | None = None
) -> Generator[None]:
    """Call `look` in a thread, again and again with `seconds` between, for the time of a `with`.

    Args:
        patience: Seconds that the end waits for a look that hangs; None for as long as it takes.
    """
    over = threading.Event()

    def main() -> None:
        while not over.wait(seconds):
            look()

    thread = threading.Thread(target=main, name=f"every {seconds:g} s", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(patience)
