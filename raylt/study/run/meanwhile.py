"""Work in the background of a command that waits for something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Value = TypeVar("Value")


def meanwhile(work: Callable[[], Value]) -> Callable[[], Value]:
    """Begin some work in a thread; returns what waits for its value or raises its error.

    A command that is interrupted does not wait for the thread.
    """
    future: Future[Value] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="meanwhile", daemon=True).start()
    return future.result
