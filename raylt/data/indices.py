"""Index files of users and papers: which images of a pool are the training set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raylt.schema import InputError


def read(path: Path, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The images that a user's .npy file names, in its order.

    Args:
        path: A one-dimensional array of whole numbers.
        labels: The class of each image of the pool, (n,).

    Raises:
        InputError: the file is missing or no such array, or names an image twice or one that is
            not there.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"data.indices must be a .npy file, but {path}: {error}") from error
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise InputError(
            "data.indices must hold one row of whole numbers, but "
            f"{path} holds {found.dtype} of the shape {found.shape}"
        )
    indices = found.astype(np.int64)
    strange = indices[(indices < 0) | (indices >= len(labels))]
    if len(strange):
        raise InputError(
            f"data.indices must lie in 0..{len(labels) - 1}, but {path} names {strange[0]}"
        )
    values, times = np.unique(indices, return_counts=True)
    if (times > 1).any():
        twice = values[times > 1]
        raise InputError(
            f"data.indices must name an image once, but {path} names {len(twice)} of them more "
            f"than once, such as {twice[0]}"
        )
    return indices
