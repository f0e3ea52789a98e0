"""What CIFAR-10 and CIFAR-100 share: their files, pixel statistics and cut."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylt.data import archive, decoded, longtail
from raylt.data.archive import Archive
from raylt.data.images import IMAGENET_MEAN, IMAGENET_STD, ArrayImages, Splits
from raylt.data.longtail import LongTailed

_STATISTICS = {
    # Both papers' programs use these numbers for CIFAR-100 as well.
    "cifar": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
}


def load(
    source: Archive,
    config: LongTailed,
    root: Path,
    *,
    names: tuple[str, ...],
    sealed: str,
    labels: str,
    normalise: str,
) -> Splits:
    """The parts of a CIFAR set.

    Args:
        source: The published archive, whose files lie in its folder below `root`.
        sealed: The file of the test images; all others are the pool.
        labels: Key of the labels in each file.
        normalise: Whose channel statistics the encoder uses, "cifar" or "imagenet".

    Raises:
        EnvironmentError: a file is missing or damaged.
    """
    mean, std = _STATISTICS[normalise]
    rest = [name for name in source.files if name != sealed]
    pool, test = (_images(source, root, files, labels) for files in (rest, [sealed]))
    return replace(longtail.cut(pool, test, config, root=root, mean=mean, std=std), names=names)


def _images(source: Archive, root: Path, names: Sequence[str], labels: str) -> ArrayImages:
    def decode() -> decoded.Arrays:
        # All of them are verified before one is unpacked.
        contents = [archive.read(source, root, name) for name in names]
        batches: list[dict[str, Any]] = [
            _PlainUnpickler(io.BytesIO(content), encoding="latin1").load() for content in contents
        ]
        pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        return pixels, np.concatenate([batch[labels] for batch in batches]).astype(np.int64)

    return ArrayImages(*decoded.once([root / source.folder / name for name in names], decode))


class _PlainUnpickler(pickle.Unpickler):
    """Reads arrays, and refuses to call anything else: a pickle may otherwise run any program."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        wanted = f"{module_name}.{global_name}"
        if wanted not in _ALLOWED:
            raise pickle.UnpicklingError(f"a CIFAR file must hold arrays only, but calls {wanted}")
        return _ALLOWED[wanted]


def _dtype(kind: str, align: int, copy: int) -> np.dtype[Any]:
    # Files of 2009 hold 0 and 1 where NumPy now asks for booleans.
    return np.dtype(kind, bool(align), bool(copy))


_empty: NDArray[np.uint8] = np.empty(0, np.uint8)
_ALLOWED: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": _dtype,
    # The function's own module has been private since NumPy 2.
    "numpy.core.multiarray._reconstruct": _empty.__reduce__()[0],
}
