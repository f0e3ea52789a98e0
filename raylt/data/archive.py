"""Published archives: fetched whole or not at all, and never believed without their checksums."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from raylt.schema import EnvironmentError, InputError

Progress = Callable[[int, int], None]
"""Takes the bytes fetched so far and those expected, 0 where nobody knows."""

_TIMEOUT = 30
"""Seconds without a byte after which a server is given up."""
_BLOCK = 2**18
_WEB = ("https://", "http://")
_LARGEST = 2**30
"""Bytes of the largest file that is unpacked; the CIFAR sets stay far below."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A gzipped tar file on the network, and what it holds."""

    dataset: str
    """Name of the dataset, for messages."""
    url: str
    sha256: str
    folder: str
    """The folder in the archive, and below the data root, that holds the files."""
    files: Mapping[str, str]
    """Published MD5 sum of each file that is used."""


def read(archive: Archive, root: Path, name: str) -> bytes:
    """One file of a fetched archive, only if it is the published one.

    Raises:
        EnvironmentError: the file is missing, unreadable or another one.
    """
    path = root / archive.folder / name
    remedy = f"run `raylt data get {archive.dataset}`"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvironmentError(
            f"{archive.dataset} must lie in {path.parent}, but {path} cannot be read "
            f"({error.strerror}); {remedy}, or name the folder that holds {archive.folder} by "
            f"--data"
        ) from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != archive.files[name]:
        raise EnvironmentError(
            f"{path} must have the published MD5 sum {archive.files[name]}, but has {found}: it "
            f"is damaged or not finished; {remedy}"
        )
    return content


def fetch(archive: Archive, root: Path, *, source: str | None, progress: Progress) -> Path:
    """Bring the archive's files below `root`, unless they are there, and return their folder.

    Two processes may do this at once: one fetches, the other waits and finds the files. A process
    that is killed leaves nothing that could be taken for a dataset.

    Args:
        archive: What to fetch.
        root: Folder of the datasets.
        source: An address or a local file to take instead of the published address, such as a
            copy on the company's network; its contents must be the published ones.
        progress: Is told how far the transfer is.

    Raises:
        InputError: `source` is neither a web address nor a file.
        EnvironmentError: nothing can be fetched or written, or it is not the published archive.
    """
    folder = root / archive.folder
    if _complete(archive, root):
        return folder
    if source is not None:
        _require_source(source)
    part = root / f".{archive.folder}.part"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{archive.folder}.lock"):
            # Whoever held the lock may have fetched the files; what a killed process left goes.
            if not _complete(archive, root):
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                try:
                    _fill(archive, part, source or archive.url, progress)
                    folder.mkdir(exist_ok=True)
                    for name in archive.files:
                        os.replace(part / name, folder / name)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise EnvironmentError(
            f"{archive.dataset} must be written to {root}, but {error.strerror or error}; make "
            "room or permission there, or choose another folder for the datasets"
        ) from error
    return folder


def _complete(archive: Archive, root: Path) -> bool:
    try:
        for name in archive.files:
            read(archive, root, name)
    except EnvironmentError:
        return False
    return True


def _fill(archive: Archive, part: Path, source: str, progress: Progress) -> None:
    packed = part / "archive"
    found, done, size = "", 0, 0
    # A second try, since a proxy's error page or a broken line is often gone a moment later.
    for _ in range(2):
        done, size = _transfer(archive, source, packed, progress)
        with packed.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == archive.sha256:
            return _unpack(archive, packed, part)
    if done < size:
        raise EnvironmentError(
            f"{archive.dataset} must be fetched whole from {source}, but the line broke off "
            f"twice, at last after {done / 1e6:.1f} of {size / 1e6:.1f} MB; {_elsewhere(archive)}"
        )
    raise EnvironmentError(
        f"{source} must have the SHA-256 sum {archive.sha256}, but has {found}: it is not the "
        f"published archive of {archive.dataset}; nothing was unpacked"
    )


def _transfer(archive: Archive, source: str, target: Path, progress: Progress) -> tuple[int, int]:
    """Fetch into a file; returns the bytes that came and those announced, 0 where none were."""
    done = size = 0
    with target.open("wb") as file:
        for block, size in _blocks(archive, source):
            file.write(block)
            done += len(block)
            progress(done, size)
    return done, size


def _blocks(archive: Archive, source: str) -> Iterator[tuple[bytes, int]]:
    """The bytes of a source piece by piece, each with the size of the whole."""
    try:
        stream, size = _opened(source)
        with stream:
            while block := stream.read(_BLOCK):
                yield block, size
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentError(
            f"{archive.dataset} must be fetched from {source}, but that cannot be read "
            f"({_why(error)}); {_elsewhere(archive)}"
        ) from error


def _opened(source: str) -> tuple[IO[bytes], int]:
    if source.startswith(_WEB):
        stream = urllib.request.urlopen(source, timeout=_TIMEOUT)
        return stream, int(stream.headers.get("Content-Length", 0))
    path = Path(source)
    return path.open("rb"), path.stat().st_size


def _require_source(source: str) -> None:
    if not source.startswith(_WEB) and not Path(source).is_file():
        raise InputError(
            f"the source must be a web address or a file, but got {source!r}; "
            "correct it, or leave it out for the published address"
        )


def _elsewhere(archive: Archive) -> str:
    return (
        f"try again, or fetch it elsewhere and run `raylt data get {archive.dataset} --from FILE`"
    )


def _why(error: Exception) -> str:
    """What a network's library says, without its wrapping."""
    wrapped = type(error) is urllib.error.URLError
    reason = error.reason if wrapped and isinstance(error.reason, OSError) else error
    return getattr(reason, "strerror", None) or str(reason)


def _unpack(archive: Archive, packed: Path, part: Path) -> None:
    """Take the expected files out of the archive, and no others, whatever their names say."""
    wanted = {f"{archive.folder}/{name}": name for name in archive.files}
    with tarfile.open(packed, "r:gz") as tar:
        for member in tar:
            name = wanted.get(member.name)
            if name is None or not member.isreg() or member.size > _LARGEST:
                continue
            stream = tar.extractfile(member)
            assert stream is not None
            with stream, (part / name).open("wb") as file:
                shutil.copyfileobj(stream, file)
    assert all((part / name).is_file() for name in archive.files), f"{archive.url} lacks a file"


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold an exclusive lock on a file; the kernel frees it even if the process is killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
