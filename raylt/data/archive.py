"""Published archives: fetched whole or not at all, and never used without their checksums."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import tarfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raylt.schema import EnvironmentError, InputError

Progress = Callable[[int, int], None]
"""Takes the bytes fetched so far and those expected, 0 where the size is unknown."""

TIMEOUT = 15
"""Seconds without a byte after which a try is given up; there are two."""
CHUNK = 2**18
_WEB = ("https://", "http://")
LARGEST = 2**30
"""Bytes of the largest file that is unpacked; the CIFAR sets stay far below."""
LARGEST_ARCHIVE = 2**30
"""Bytes of the largest archive that is fetched."""


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


def require(archive: Archive, root: Path) -> None:
    """Refuse an archive of which a file is not there; none is read.

    Raises:
        EnvironmentError: it was not fetched.
    """
    folder = root / archive.folder
    if not all((folder / name).is_file() for name in archive.files):
        raise EnvironmentError(
            f"{archive.dataset} must be in {folder}, but is not; {_remedy(archive, root)}"
        )


def _remedy(archive: Archive, root: Path) -> str:
    return (
        f"run `{_get(archive, root)}`, or name the folder that holds {archive.folder} with --data"
    )


def _get(archive: Archive, root: Path) -> str:
    """The command that fetches an archive into `root`, which need not be the default."""
    where = ["--data", str(root)] if root.absolute() != Path("data").absolute() else []
    return shlex.join(["raylt", "data", "get", archive.dataset, *where])


def read(archive: Archive, root: Path, name: str) -> bytes:
    """One file of a fetched archive, only if it is the published one.

    Raises:
        EnvironmentError: the file is missing, unreadable or another one.
    """
    path = root / archive.folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EnvironmentError(
            f"{archive.dataset} must be in {path.parent}, but {path} cannot be read "
            f"({error.strerror}); {_remedy(archive, root)}"
        ) from error
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 != archive.files[name]:
        raise EnvironmentError(
            f"{path} must have the published MD5 sum {archive.files[name]}, but has {md5}: it "
            f"is damaged or not finished; run `{_get(archive, root)}`"
        )
    return content


def fetch(archive: Archive, root: Path, *, source: str | None, progress: Progress) -> Path:
    """Fetch the archive's files into `root`, unless they are there, and return their folder.

    Two processes may do this at once: one fetches, the other waits and finds the files. A process
    that is killed leaves nothing that could be taken for a dataset.

    Args:
        source: An address or a local file to take instead of the published address, such as a
            copy on the company's network; its contents must be the published ones.

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
            # The process that held the lock before may have fetched the files.
            if not _complete(archive, root):
                # A process that was killed may have left it.
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                try:
                    packed = _download(archive, source or archive.url, part, progress)
                    _unpack(archive, packed, part)
                    folder.mkdir(exist_ok=True)
                    for name in archive.files:
                        os.replace(part / name, folder / name)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise EnvironmentError(
            f"cannot write {archive.dataset} to {root}: {error.strerror or error}; free space or "
            "allow writing there, or choose another folder with --data"
        ) from error
    return folder


def _complete(archive: Archive, root: Path) -> bool:
    try:
        for name in archive.files:
            read(archive, root, name)
    except EnvironmentError:
        return False
    return True


def _download(archive: Archive, source: str, part: Path, progress: Progress) -> Path:
    """Fetch the archive into `part`; it has the published checksum, or is not there."""
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("ERROR")
    name = "archive.tar.gz"
    registry = {name: f"sha256:{archive.sha256}"}
    # Once more: a proxy's error page or a broken connection is often gone a moment later.
    fetcher = pooch.create(part, "", registry=registry, urls={name: source}, retry_if_failed=1)
    try:
        packed = Path(fetcher.fetch(name, downloader=_downloader(source, _Bar(source, progress))))
    except (RequestException, ValueError) as error:
        # A ValueError is of pooch for another checksum, or of an answer that makes no sense, such
        # as one whose length is no number.
        if "hash" in str(error) and not isinstance(error, RequestException):
            raise EnvironmentError(
                f"{source} is not the published archive of {archive.dataset}, for its SHA-256 sum "
                f"is another; nothing was unpacked: {error}"
            ) from error
        raise EnvironmentError(
            f"cannot download {archive.dataset} from {source} ({_cause(error)}); try again, or "
            f"download it elsewhere and run `{_get(archive, part.parent)} --from FILE`"
        ) from error
    progress(packed.stat().st_size, packed.stat().st_size)
    return packed


def _downloader(source: str, bar: Any) -> Callable[..., object]:
    """What pooch calls to write a source into a file."""
    from pooch import HTTPDownloader

    if source.startswith(_WEB):
        # The bytes as they are: a server may offer to unpack a .gz on the way.
        plain = {"Accept-Encoding": "identity"}
        return HTTPDownloader(bar, chunk_size=CHUNK, timeout=TIMEOUT, headers=plain)
    return lambda source, target, _: shutil.copyfile(source, target)


class _Bar:
    """The progress bar that pooch fills."""

    total = 0

    def __init__(self, source: str, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._done = 0

    def update(self, count: int) -> None:
        self._done += count
        if max(self._done, self.total) > LARGEST_ARCHIVE:
            raise EnvironmentError(f"{self._source} {_too_large(max(self._done, self.total))}")
        if count:
            # Pooch counts the last chunk as a whole one.
            self._progress(min(self._done, self.total or self._done), self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def _require_source(source: str) -> None:
    file = Path(source)
    if not source.startswith(_WEB) and not (file.is_file() and os.access(file, os.R_OK)):
        raise InputError(
            f"--from: must be a web address or a file that can be read, but got {source!r}; "
            "leave it out to download from the published address"
        )
    if not source.startswith(_WEB) and (size := file.stat().st_size) > LARGEST_ARCHIVE:
        raise InputError(f"--from: {source} {_too_large(size)}")


def _too_large(size: int) -> str:
    return (
        f"must be a published archive, of at most {LARGEST_ARCHIVE:,} bytes, but has {size:,} or "
        "more; name another"
    )


def _cause(error: BaseException) -> str:
    """What the operating system or the server said first, without the libraries' wrapping."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)


def _unpack(archive: Archive, packed: Path, part: Path) -> None:
    """Take the expected files out of the archive, and no others, whatever their names say."""
    wanted = {f"{archive.folder}/{name}": name for name in archive.files}
    with tarfile.open(packed, "r:gz") as tar:
        for member in tar:
            name = wanted.get(member.name)
            if name is None or not member.isreg() or member.size > LARGEST:
                continue
            stream = tar.extractfile(member)
            assert stream is not None
            with stream, (part / name).open("wb") as file:
                shutil.copyfileobj(stream, file)
    assert all((part / name).is_file() for name in archive.files), f"{archive.url} lacks a file"


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold an exclusive lock on a file; the kernel releases it even if the process is killed."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
