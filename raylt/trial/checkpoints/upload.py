"""Upload a trial's folder to its bucket while the trial trains, which never waits for it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from raylt import threads
from raylt.trial.checkpoints import bucket, checkpoint_names

KEPT = 2
"""Newest checkpoints kept in the bucket: one more in case the newest is damaged."""
_LOOK = 0.5
"""Seconds between two scans of the folder."""
_TRIES = 3
"""Attempts at the start and the end of a trial, before it fails."""
_PAUSE = 5.0
"""Seconds between them."""

_Version = tuple[int, int, int]
"""Inode, size and time: tells whether a file is still the one that was sent. Two names of one
file share it."""
_T = TypeVar("_T")


class BucketUnavailable(RuntimeError):
    """The files of a trial could not be read from its bucket, or written there."""


@contextlib.contextmanager
def sending(folder: Path, uri: str | None) -> Generator[None]:
    """Fetch a trial's files from its bucket, if it has one, and upload new ones for the time of a
    `with`.

    All of them are there at the end. One file goes at a time, the newest state first: a checkpoint
    that is replaced before its turn is never sent. A failure is a warning, and is tried again.

    Raises:
        BucketUnavailable: the bucket did not answer at the start, or at the end.
    """
    if uri is None:
        yield
        return
    remote = _with_retries(
        lambda: bucket.bring(uri, folder, whole=True), f"cannot read checkpoints from {uri}"
    )
    sender = Sender(folder, uri, remote)
    try:
        with threads.every(_LOOK, sender.send_or_warn):
            yield
    except BaseException:
        # An error of the trial must not be hidden by one of the bucket.
        with contextlib.suppress(OSError):
            sender.send()
        raise
    _with_retries(sender.send, f"cannot write checkpoints to {uri}")


def _with_retries(transfer: Callable[[], _T], failure: str) -> _T:
    for _ in range(_TRIES - 1):
        with contextlib.suppress(OSError):
            return transfer()
        time.sleep(_PAUSE)
    try:
        return transfer()
    except OSError as error:
        raise BucketUnavailable(f"{failure}: {bucket.reason(error)}") from error


class Sender:
    """Uploads what a trial's folder has and its bucket lacks; `remote` are the files in the
    bucket, and whether the folder has the same content."""

    def __init__(self, folder: Path, uri: str, remote: Mapping[str, bool]) -> None:
        self._uri = uri
        self._folder = folder
        self._sent = {
            name: _version((folder / name).stat()) if same else None
            for name, same in remote.items()
        }
        """The version of each file in the bucket, by name; None where the folder has another."""
        self._failed = float("-inf")

    def send_or_warn(self) -> None:
        """As `send`, but a refusal is a warning, after which nothing is tried for a while."""
        if time.monotonic() - self._failed < _PAUSE:
            return
        try:
            self.send()
        except OSError as error:
            self._failed = time.monotonic()
            print(
                f"warning: cannot write checkpoints to {self._uri} now, will try again: "
                f"{bucket.reason(error)}",
                flush=True,
            )

    def send(self) -> None:
        """Upload new files, and remove the checkpoints that they replace.

        Raises:
            OSError: the bucket refuses one; what was sent until then counts.
        """
        for path in list(self._wanted()):
            # The trial may have removed it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                self._send(path)
        self._retire()

    def _wanted(self) -> Iterator[Path]:
        """The small files, the best checkpoint and the newest one, in this order: a run that is
        cut off in between trains that epoch again, with the same result."""
        paths = {path.name: path for path in self._folder.iterdir() if bucket.is_output(path.name)}
        large = (checkpoint_names.BEST, checkpoint_names.checkpoint(bucket.newest(paths)))
        yield from (path for path in paths.values() if not path.match(checkpoint_names.PATTERN))
        yield from (paths[name] for name in large if name in paths)

    def _send(self, path: Path) -> None:
        with path.open("rb") as file:
            version = _version(os.fstat(file.fileno()))
            if self._sent.get(path.name) == version:
                return
            target = bucket.join(self._uri, path.name)
            twin = next((name for name, sent in self._sent.items() if sent == version), None)
            if twin is None:
                bucket.send(file, target)
            else:
                bucket.copy(bucket.join(self._uri, twin), target)
        self._sent[path.name] = version

    def _retire(self) -> None:
        # Only what this process sent or saw: one that was cut off and wakes up late must not
        # remove what others have sent meanwhile.
        epochs = sorted(name for name in self._sent if checkpoint_names.epoch_of(name))
        for name in epochs[:-KEPT]:
            bucket.remove(bucket.join(self._uri, name))
            del self._sent[name]


def _version(status: os.stat_result) -> _Version:
    return status.st_ino, status.st_size, status.st_mtime_ns
