"""What a user's images are, before anything is decided: `raylt init` writes a space from it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from raylt.data.reading import decode, rows, table, tree
from raylt.data.reading.collection import Collection
from raylt.data.reading.paths import shown
from raylt.data.reading.rows import TABLES, Columns
from raylt.schema import InputError

_OPENED = 2000
"""Images that are opened at most; of a larger set they are spread evenly."""
_THREADS = 4
_TRIED = 50
"""Paths of a table that are looked for in each folder."""
_LISTS = (".txt", ".lst", ".list")

Layout = Literal["folder", "parts", "table", "tables"]


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is."""

    source: Path
    layout: Layout
    """A folder of classes, folders of them by part, a table or list, or one for each part."""
    root: Path
    """The data root that `data` counts from."""
    data: Mapping[str, Any]
    """The section `recipe.data` that reads these images, without numbers of anything."""
    classes: tuple[str, ...]
    """The name of each class, in class order."""
    counts: Mapping[str, tuple[int, ...]]
    """Images of each class by part, without those that cannot be read; only `train` where the
    user has divided nothing."""
    opened: int
    """How many images were opened and decoded; what follows is about these."""
    sizes: tuple[tuple[int, int], ...]
    """Width and height of each that could be read, by rising shorter side."""
    channels: Literal[1, 3]
    """1 where every image is grey."""
    modes: Mapping[str, int]
    """Pillow's modes, such as RGB and I;16, and how many images have each."""
    broken: tuple[str, ...]
    """Those that cannot be read, each with its path and the reason."""
    left_out: Mapping[str, int]
    """What lay among the images and is none, such as `.txt`, and how many files of it."""

    @property
    def images(self) -> int:
        """All images, of every part."""
        return sum(map(sum, self.counts.values()))


def survey(source: Path, *, root: Path | None = None, opened: int = _OPENED) -> Survey:
    """Look at the images of a folder, a folder with `train`, `val` and `test`, a table, or a
    folder of one list for each part.

    Args:
        root: The data root, if `source` lies below it; else the folder around `source` is.

    Raises:
        InputError: there are no images of two classes, or a rule of their layout is broken.
        EnvironmentError: a file or folder cannot be read.
    """
    source = Path(os.path.abspath(source))
    root = Path(os.path.abspath(root)) if root is not None else source.parent
    if source == root or not source.is_relative_to(root):
        root = source.parent
    layout, paths = _layout(source)
    if layout in ("folder", "parts"):
        whole, key = tree.collection(paths), "images"
        data: dict[str, Any] = {"name": "folder"}
    else:
        images = _images_of(paths["train"])
        whole, key = table.collection(paths, images, Columns()), "table"
        data = {"name": "table", "images": images.relative_to(root).as_posix()}
    for part, path in paths.items():
        own = key if part == "train" else f"{part}_{key}"
        data[own] = path.relative_to(root).as_posix()
    return Survey(
        source=source,
        layout=layout,
        root=root,
        data=data,
        classes=whole.classes,
        left_out=dict(whole.left_out),
        **_seen(whole, opened),
    )


def _layout(source: Path) -> tuple[Layout, dict[str, Path]]:
    """How the images lie, and the folder or the table of each part."""
    if not source.exists():
        raise InputError(
            f"{shown(source)} must be a folder or a table of images, but is not there"
        )
    if not source.is_dir():
        return "table", {"train": source}
    entries = {entry.name.lower(): entry for entry in sorted(source.iterdir())}
    folders = _parts({name: path for name, path in entries.items() if path.is_dir()})
    if len(folders) > 1 and any(path.is_dir() for path in folders["train"].iterdir()):
        return "parts", folders
    endings = (*TABLES, *_LISTS)
    lists = _parts({p.stem.lower(): p for p in entries.values() if p.suffix.lower() in endings})
    return ("tables", lists) if lists else ("folder", {"train": source})


def _parts(entries: Mapping[str, Path]) -> dict[str, Path]:
    """What is called like a part; nothing without training images."""
    parts = {
        part: entries[word]
        for part, words in table.SPLITS.items()
        for word in reversed(words)
        if word in entries
    }
    return parts if "train" in parts else {}


def _images_of(path: Path) -> Path:
    """The folder that the paths of a table start from: its own, or one that lies there."""
    named = rows.read(path)
    windows = table.windows(named)
    some = named[:: max(1, len(named) // _TRIED)]
    folders = [path.parent, *sorted(inner for inner in path.parent.iterdir() if inner.is_dir())]

    def present(folder: Path) -> int:
        names = (row.path.replace("\\", "/") if windows else row.path for row in some)
        return sum((folder / name).is_file() for name in names)

    return max(folders, key=present)


def _seen(whole: Collection, opened: int) -> dict[str, Any]:
    """What the images themselves are, by decoding some."""
    every = [
        (name, part.folder / file, label)
        for name, part in whole.parts.items()
        for file, label in zip(part.names, part.labels, strict=True)
    ]
    chosen = every[:: -(-len(every) // opened)]
    counts = {name: whole.counts(name) for name in whole.parts}
    sizes: list[tuple[int, int]] = []
    modes: Counter[str] = Counter()
    broken = [f"{place}: it is not there" for place in whole.missing.values()]
    grey = True
    with ThreadPoolExecutor(_THREADS) as threads:
        looks = threads.map(_look, (path for _, path, _ in chosen))
        for (name, path, label), look in zip(chosen, looks, strict=True):
            if isinstance(look, str):
                broken.append(f"{shown(path)}: {look}")
                counts[name][label] -= 1
                continue
            sizes.append(look.size)
            modes[look.mode] += 1
            grey = grey and look.grey
    return {
        "counts": {name: tuple(of_class.tolist()) for name, of_class in counts.items()},
        "opened": len(chosen),
        "sizes": tuple(sorted(sizes, key=lambda size: (min(size), max(size)))),
        "channels": 1 if sizes and grey else 3,
        "modes": dict(modes),
        "broken": tuple(broken),
    }


class _Look(NamedTuple):
    size: tuple[int, int]
    mode: str
    grey: bool


def _look(path: Path) -> _Look | str:
    """What an image is, or why it cannot be read."""
    try:
        _, mode = decode.header(path)
        image = decode.decoded(path)
    except decode.Unreadable as error:
        return str(error)
    pixels = np.asarray(image)
    return _Look(image.size, mode, bool((pixels == pixels[..., :1]).all()))
