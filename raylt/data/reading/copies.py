"""Copies of one picture in several parts under other names: a test of what was trained on."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from raylt.data.files import FileImages
from raylt.data.images import Images, Splits
from raylt.data.reading.paths import shown

_THREADS = 16
"""Files that are asked for at once: the disk may be across a network."""
_BEGINNING = 4096
"""Bytes by which most pictures of one length differ already."""
_NAMED = 2
"""Copies that are named."""

File = tuple[str, str]
"""A part and a path."""


def sentence(splits: Splits) -> str:
    """What to say of copies of one picture in several parts of own images; "" without them."""
    copies = across(
        {
            "train": {*_paths(splits.train), *_paths(splits.balanced)},
            "validation": _paths(splits.validation),
            "test": _paths(splits.test),
        }
    )
    if not copies:
        return ""
    pairs = [
        (first, next(other for other in rest if other[0] != first[0]))
        for first, *rest in copies[:_NAMED]
    ]
    named = "; ".join(
        f"{shown(path)} ({part}) is {shown(copy)} ({other})"
        for (part, path), (other, copy) in pairs
    )
    more = f", and {len(copies) - _NAMED} more" if len(copies) > _NAMED else ""
    pictures = "1 picture is" if len(copies) == 1 else f"{len(copies)} pictures are"
    return (
        f"{pictures} in more than one part under other names, so that scores flatter: {named}"
        f"{more}; keep one file of each"
    )


def across(parts: Mapping[str, Iterable[str]]) -> list[list[File]]:
    """Files with the same bytes that are in more than one part.

    Few files are read: most differ in length, and the rest by their beginning.

    Args:
        parts: The paths of each part.
    """
    groups = [sorted((part, path) for part, paths in parts.items() for path in paths)]
    with ThreadPoolExecutor(_THREADS) as threads:

        def split(files: Sequence[File], identity: Callable[[str], Hashable]) -> list[list[File]]:
            alike: defaultdict[Hashable, list[File]] = defaultdict(list)
            identities = threads.map(identity, (path for _, path in files))
            for file, same in zip(files, identities, strict=True):
                alike[same].append(file)
            return [group for group in alike.values() if len({part for part, _ in group}) > 1]

        for identity in (_length, _beginning, _digest):
            groups = [*chain.from_iterable(split(group, identity) for group in groups)]
    return sorted(groups)


def _paths(images: Images) -> list[str]:
    assert isinstance(images, FileImages)
    return [os.path.join(images.root, name) for name in images.names.tolist()]


# A file that is empty or cannot be read is like no other; whoever decodes it says so.


def _length(path: str) -> Hashable:
    try:
        return os.path.getsize(path) or path
    except OSError:
        return path


def _beginning(path: str) -> Hashable:
    try:
        with open(path, "rb") as file:
            return file.read(_BEGINNING)
    except OSError:
        return path


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
