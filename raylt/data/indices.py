"""Index files of users and papers: which images of a pool are one of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylt.schema import InputError


def read(path: Path, *, key: str) -> NDArray[np.int64]:
    """The images that the .npy file of `data.KEY` names, in its order, (n,).

    Raises:
        InputError: the file is missing, or no one-dimensional array of whole numbers.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("no regular file")  # it might never end
        # Mapped, so that a header which promises more than the file has takes no memory.
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, OverflowError, SyntaxError, MemoryError) as error:
        reason = (
            isinstance(error, OSError) and error.strerror
        ) or "it is damaged or another kind of file"
        raise InputError(
            f"data.{key} must name a .npy file below the data root, but {path} cannot be read "
            f"as one ({reason}); write it with `numpy.save`, or name another file"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(
            f"data.{key} must name a file of one array, but {path} is an archive of several; "
            "write the array with `numpy.save`"
        )
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"data.{key} must hold one row of whole numbers, but {path} holds {array.dtype} of "
            f"the shape {array.shape}; write such an array with `numpy.save`"
        )
    return array.astype(np.int64)


def of_pool(path: Path, labels: NDArray[np.int64], *, key: str) -> NDArray[np.int64]:
    """The images of a pool that a user's .npy file names, in its order, (n,).

    Raises:
        InputError: as of `read`, or it names no image, one twice, or one that is not there.
    """
    indices = read(path, key=key)
    if not len(indices):
        raise InputError(f"data.{key} must name an image, but {path} is empty; name another file")
    strange = indices[(indices < 0) | (indices >= len(labels))]
    if len(strange):
        raise InputError(
            f"data.{key} must lie in 0..{len(labels) - 1}, but {path} names {strange[0]}; is it "
            "of another dataset?"
        )
    values, times = np.unique(indices, return_counts=True)
    if (times > 1).any():
        twice = values[times > 1]
        raise InputError(
            f"data.{key} must name each image once, but {path} names {len(twice)} of them more "
            f"than once, such as {twice[0]}; remove the repetitions"
        )
    return indices


def require_apart(held_out: NDArray[np.int64], named: Mapping[str, NDArray[np.int64]]) -> None:
    """Check that the file of no other key of `data` names a validation image.

    Raises:
        InputError: one does.
    """
    for key, images in named.items():
        shared = np.intersect1d(held_out, images)
        if len(shared):
            raise InputError(
                f"data.validation_indices and data.{key} must name different images, but share "
                f"{len(shared)}, such as {shared[0]}; remove them from one file"
            )
