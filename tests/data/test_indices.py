import io

import numpy as np
import pytest

from raylt import datasets
from raylt.datasets import folder
from raylt.schema import InputError
from tests.data.made import parts, shown


def _saved(save, array):
    buffer = io.BytesIO()
    save(buffer, array)
    return buffer.getvalue()


def test_a_users_indices_are_the_tail_in_their_order(tmp_path):
    path = tmp_path / "split.npy"
    chosen = np.array([9, 0, 3, 4, 1, 2, 8])
    np.save(path, chosen)
    cut = parts(validation=10, indices=str(path))
    assert cut.train.take(np.arange(7))[:, 0, 0, 0].tolist() == chosen.tolist()
    assert cut.train_counts == (3, 2, 2)
    assert not set(chosen.tolist()) & shown(cut.validation)
    assert np.bincount(cut.validation.labels).tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (np.array([0.5, 1.0]), "whole numbers"),
        (np.array([[0, 1, 2]]), r"shape \(1, 3\)"),
        (np.array([0, 1, 2, 240]), r"0\.\.239, but .* names 240"),
        (np.array([0, 1, 2, -1]), "names -1"),
        (np.array([0, 1, 2, 1]), "each image once, but .* such as 1"),
        (np.array([0, 1, 3]), "class 2 is left with 0"),
        (np.array([{}], dtype=object), r"must name a \.npy file .* with `numpy\.save`"),
    ],
)
def test_indices_that_cannot_be_are_named(tmp_path, content, complaint):
    path = tmp_path / "split.npy"
    np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=complaint):
        parts(validation=10, indices=str(path))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, r"absent\.npy cannot be read as one \(No such file or directory\)"),
        (b"", r"cannot be read as one \(it is damaged or another kind of file\)"),
        (b"no array", r"cannot be read as one \(it is damaged or another kind of file\)"),
        (_saved(np.save, np.arange(60))[:200], "it is damaged"),
        (_saved(np.savez, np.arange(60)), "is an archive of several"),
    ],
)
def test_what_is_no_index_file_is_named_before_the_images_are_read(tmp_path, content, complaint):
    path = tmp_path / "absent.npy"
    if content is not None:
        path.write_bytes(content)
    # There are no images either: decoding a folder of them may take minutes.
    mine = folder.Config(images="mine", indices=str(path))
    with pytest.raises(InputError, match=complaint):
        datasets.load(mine, tmp_path)


def test_indices_that_leave_no_validation_are_named(tmp_path):
    path = tmp_path / "split.npy"
    np.save(path, np.arange(2, 240))  # all of class 2
    with pytest.raises(InputError, match="class 0 must have 10 images for test or validation"):
        parts(validation=10, indices=str(path))
