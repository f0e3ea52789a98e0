"""Arrays that are decoded once and then mapped into memory by every process that wants them.

What is mapped is shared: however many trials run on a machine, they hold one copy of a dataset
between them, and none of them waits for its decoding.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from raylt import scratch

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels and labels."""


def once(sources: Iterable[Path], decode: Callable[[], Arrays]) -> Arrays:
    """The arrays that files decode to, mapped from two `.npy` files beside the first of them.

    They are decoded again when a source was changed or when their content is not the one that was
    written, by its SHA-256 in a third file. They stay in this process's own memory where the
    folder cannot be written.

    Args:
        sources: The files; a missing one is left for `decode` to report.
        decode: Reads them, and refuses what must not be read.
    """
    paths = tuple(sources)
    try:
        key = _key(paths)
    except OSError:
        return decode()
    files = (paths[0].with_name(f".{key}.pixels.npy"), paths[0].with_name(f".{key}.labels.npy"))
    digest = paths[0].with_name(f".{key}.sha256")
    with contextlib.suppress(OSError, ValueError, EOFError):
        mapped = _mapped(files[0]), _mapped(files[1])
        if digest.read_text("ascii") == _digest(mapped):
            return mapped
    arrays = decode()
    try:
        mode = stat.S_IMODE(paths[0].stat().st_mode)
        for path, array in zip(files, arrays, strict=True):
            _write(path, functools.partial(np.save, arr=array, allow_pickle=False), mode=mode)
        written = _digest(arrays).encode()
        _write(digest, lambda file: file.write(written), mode=mode)
    except OSError:
        return arrays
    return _mapped(files[0]), _mapped(files[1])


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _key(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return f"decoded-{digest.hexdigest()[:16]}"


def _mapped(path: Path) -> NDArray[Any]:
    # Copied on write: torch wants memory that it may write to, and the file stays as it is.
    return np.load(path, mmap_mode="c", allow_pickle=False)


def _write(path: Path, write: Callable[[BinaryIO], object], *, mode: int) -> None:
    """Write a file that is there whole or not at all."""
    with scratch.draft(path) as draft:
        draft.touch(0o600)
        with draft.open("wb") as file:
            write(file)
        # Who may read the dataset may read this, and nobody else.
        draft.chmod(mode)
