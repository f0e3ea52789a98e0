"""Index files of users and papers: which images of a pool are the training set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylt.schema import InputError


def read(path: Path) -> NDArray[np.int64]:
    """The images that a user's .npy file names, in its order, (n,).

    Raises:
        InputError: the file is missing, or no one-dimensional array of whole numbers.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = (
            isinstance(error, OSError) and error.strerror
        ) or "it is damaged or another kind of file"
        raise InputError(
            f"data.indices must name a .npy file below the data root, but {path} cannot be read "
            f"as one ({reason}); write it with `numpy.save`, or name another file"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise InputError(
            f"data.indices must name a file of one array, but {path} is an archive of several; "
            "write the array with `numpy.save`"
        )
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"data.indices must hold one row of whole numbers, but {path} holds {array.dtype} of "
            f"the shape {array.shape}; write such an array with `numpy.save`"
        )
    return array.astype(np.int64)


def of_pool(path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The images of a pool that a user's .npy file names, in its order, (n,).

    Args:
        path: A one-dimensional array of whole numbers.
        labels: The class of each image of the pool.

    Raises:
        InputError: as of `read`, or it names an image twice or one that is not there.
    """
    indices = read(path)
    strange = indices[(indices < 0) | (indices >= len(labels))]
    if len(strange):
        raise InputError(
            f"data.indices must lie in 0..{len(labels) - 1}, but {path} names {strange[0]}; is it "
            "of another dataset?"
        )
    values, times = np.unique(indices, return_counts=True)
    if (times > 1).any():
        twice = values[times > 1]
        raise InputError(
            f"data.indices must name each image once, but {path} names {len(twice)} of them more "
            f"than once, such as {twice[0]}; remove the repetitions"
        )
    return indices
