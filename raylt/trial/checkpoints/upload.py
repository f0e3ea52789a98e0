"""Send a trial's folder to its bucket while the trial trains, which never waits for it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from raylt.trial.checkpoints import bucket, checkpoint_names

KEPT = 2
"""Newest checkpoints kept in the bucket: one more in case the newest is damaged."""
_LOOK = 0.5
"""Seconds between two looks at the folder."""
_TRIES = 3
"""Attempts at the start and the end of a trial, before it is known that it cannot be done."""
_PAUSE = 5.0
"""Seconds between them."""

_Version = tuple[int, int, int]
"""Tells whether a file is still the one that was sent; the names of one file share it."""
_T = TypeVar("_T")


class NotKept(RuntimeError):
    """What a trial left behind could not be had from its bucket, or be sent there."""


@contextlib.contextmanager
def sending(folder: Path, uri: str | None) -> Generator[None]:
    """Bring what a bucket has of a trial, and send what appears for the time of a `with`.

    All of it is there at the end. One file goes at a time, the newest state first: what was
    overtaken before its turn is never sent. A failure costs a line of warning and is tried again.

    Args:
        folder: The trial's folder here.
        uri: Its folder in the bucket; None where there is no bucket.

    Raises:
        NotKept: the bucket did not answer at the start, or at the end.
    """
    if uri is None:
        yield
        return
    there = _patiently(lambda: bucket.bring(uri, folder, whole=True), f"be read at {uri}")
    sender = Sender(folder, uri, there)
    over = threading.Event()
    thread = threading.Thread(target=_keep_on, args=(sender, over), daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        # It ends for a reason of its own, which is not to be hidden.
        over.set()
        thread.join()
        with contextlib.suppress(OSError):
            sender.send()
        raise
    over.set()
    thread.join()
    _patiently(sender.send, f"be kept at {uri}")


def _keep_on(sender: Sender, over: threading.Event) -> None:
    while not over.wait(_LOOK):
        try:
            sender.send()
        except OSError as error:
            print(
                f"warning: checkpoints cannot be sent to {sender.uri} now, "
                f"but will be: {bucket.why(error)}",
                flush=True,
            )
            over.wait(_PAUSE)


def _patiently(do: Callable[[], _T], what: str) -> _T:
    for _ in range(_TRIES - 1):
        with contextlib.suppress(OSError):
            return do()
        time.sleep(_PAUSE)
    try:
        return do()
    except OSError as error:
        raise NotKept(f"checkpoints must {what}, but {bucket.why(error)}") from error


class Sender:
    """Brings a bucket up to what a trial's folder holds.

    Args:
        folder: The trial's folder here.
        uri: Its folder in the bucket.
        there: What is in the bucket, and whether the folder has the same.
    """

    def __init__(self, folder: Path, uri: str, there: Mapping[str, bool]) -> None:
        self.uri = uri
        self._folder = folder
        self._sent = {
            name: _version((folder / name).stat()) if alike else None
            for name, alike in there.items()
        }
        """What is in the bucket, by name; None where it is not what the folder has."""

    def send(self) -> None:
        """Send what is new, and remove the checkpoints that it replaces.

        Raises:
            OSError: the bucket does not take it; what was sent until then counts.
        """
        for path in list(self._wanted()):
            # What is not there any more was overtaken.
            with contextlib.suppress(FileNotFoundError):
                self._send(path)
        self._retire()

    def _wanted(self) -> Iterator[Path]:
        """The small files, the best checkpoint and the newest one, in this order: a run that is
        cut off in between trains that epoch again, and alike."""
        here = {path.name: path for path in self._folder.iterdir() if bucket.is_left(path.name)}
        large = (checkpoint_names.BEST, checkpoint_names.checkpoint(bucket.newest(here)))
        yield from (path for path in here.values() if not path.match(checkpoint_names.PATTERN))
        yield from (here[name] for name in large if name in here)

    def _send(self, path: Path) -> None:
        with path.open("rb") as file:
            version = _version(os.fstat(file.fileno()))
            if self._sent.get(path.name) == version:
                return
            target = bucket.join(self.uri, path.name)
            twin = next((name for name, sent in self._sent.items() if sent == version), None)
            if twin is None:
                bucket.send(file, target)
            else:
                bucket.copy(bucket.join(self.uri, twin), target)
        self._sent[path.name] = version

    def _retire(self) -> None:
        # Only what this process knows to be older: one that was cut off from the others and wakes
        # up late must not remove what they have sent meanwhile.
        epochs = sorted(name for name in self._sent if checkpoint_names.epoch_of(name))
        for name in epochs[:-KEPT]:
            bucket.remove(self.uri, [name])
            del self._sent[name]


def _version(found: os.stat_result) -> _Version:
    return found.st_ino, found.st_size, found.st_mtime_ns
