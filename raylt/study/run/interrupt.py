"""A search that is interrupted ends in order: the signal is answered, and becomes a flag."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any


class Interruption:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a flag; the second Ctrl-C ends at once."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seen = False
        self._say = say
        self._stopping: Callable[[], str] = lambda: "stopping"
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        # Only the main thread may handle signals; a notebook's worker thread does without.
        if threading.current_thread() is threading.main_thread():
            for number in self._SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def saying(self, say: Callable[[str], None], stopping: Callable[[], str]) -> Generator[None]:
        """Answer a signal by other words for the time of a `with`.

        Args:
            stopping: What is going to be saved, in words.
        """
        before = self._say, self._stopping
        self._say, self._stopping = say, stopping
        try:
            yield
        finally:
            self._say, self._stopping = before

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
        by_key = number == signal.SIGINT
        more = "; press again to leave now" if by_key else f" ({signal.Signals(number).name})"
        self._say(self._stopping() + more)
