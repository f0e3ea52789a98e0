import io
import os
from pathlib import Path

import numpy as np
import pytest

from raylt import datasets
from raylt.data import indices
from raylt.datasets import folder
from raylt.schema import InputError
from tests.data.made import parts, shown

FILES = ("indices", "validation_indices", "balanced_indices", "few_shot_indices")


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


def test_few_shot_labels_are_among_a_users_training_images(tmp_path):
    chosen = np.random.default_rng(0).permutation(240)[:60]
    np.save(tmp_path / "split.npy", chosen)
    cut = parts(validation=10, indices=str(tmp_path / "split.npy"))
    assert np.bincount(cut.few_shot.labels).tolist() == [4, 4, 4]
    assert shown(cut.few_shot) <= set(chosen.tolist())
    np.save(tmp_path / "split.npy", np.sort(chosen))
    again = parts(validation=10, indices=str(tmp_path / "split.npy"))
    assert shown(again.few_shot) == shown(cut.few_shot)


def test_every_part_can_be_a_users_file(tmp_path):
    order = np.random.default_rng(1).permutation(240)
    named = {
        "indices": order[:80],
        "few_shot_indices": order[:9],
        "balanced_indices": order[20:150],
        "validation_indices": order[150:200],
    }
    for key, chosen in named.items():
        np.save(tmp_path / f"{key}.npy", chosen)
    files = {key: str(tmp_path / f"{key}.npy") for key in named}
    cut = parts(validation=10, **files)
    taken = (cut.train, cut.few_shot, cut.balanced, cut.validation)
    for chosen, part in zip(named.values(), taken, strict=True):
        assert part.take(np.arange(len(part)))[:, 0, 0, 0].tolist() == chosen.tolist()
    # Without a file of them, validation images are none that a file names.
    del files["validation_indices"]
    held_out = shown(parts(validation=10, **files).validation)
    assert len(held_out) == 30
    assert not held_out & set(order[:150].tolist())


def test_a_law_cuts_what_a_file_of_validation_images_leaves(tmp_path):
    np.save(tmp_path / "held.npy", np.arange(0, 120))
    cut = parts(validation=0, validation_indices=str(tmp_path / "held.npy"), imbalance=8.0)
    assert cut.train_counts == (40, 14, 5)
    assert len(cut.balanced) == 120
    assert not shown(cut.train) & shown(cut.validation)


@pytest.mark.parametrize("key", [key for key in FILES if key != "validation_indices"])
def test_a_file_that_names_validation_images_is_refused(tmp_path, key):
    np.save(tmp_path / "held.npy", np.arange(30))
    np.save(tmp_path / "other.npy", np.arange(28, 90))
    files = {"validation_indices": "held.npy", key: "other.npy"}
    complaint = (
        rf"data\.validation_indices and data\.{key} must name different .* share 2, such as 28"
    )
    with pytest.raises(InputError, match=complaint):
        parts(validation=10, **{name: str(tmp_path / file) for name, file in files.items()})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (np.array([0.5, 1.0]), "whole numbers"),
        (np.array([[0, 1, 2]]), r"shape \(1, 3\)"),
        (np.array([0, 1, 2, 240]), r"0\.\.239, but .* names 240"),
        (np.array([0, 1, 2, -1]), "names -1"),
        (np.array([0, 1, 2, 1]), "each image once, but .* such as 1"),
        (np.array([0, 1, 3]), "class 2 is left with 0"),
        (np.array([], np.int64), "must name an image, but .* is empty"),
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
    for key in FILES:
        mine = folder.Config(images="mine", **{key: str(path)})
        with pytest.raises(InputError, match=rf"data\.{key} must .*{complaint}"):
            datasets.load(mine, tmp_path)


def test_indices_that_leave_no_validation_are_named(tmp_path):
    path = tmp_path / "split.npy"
    np.save(path, np.arange(2, 240))  # all of class 2
    with pytest.raises(InputError, match="class 0 must have 10 images for test or validation"):
        parts(validation=10, indices=str(path))


@pytest.mark.parametrize(
    "shape", ["(100000000000000,)", "(" + "9" * 400 + ",)", "(-1,)", "(1,)" * 99]
)
def test_a_header_that_promises_more_than_the_file_has_takes_no_memory(shape, tmp_path):
    head = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".ljust(1021) + "\n"
    path = tmp_path / "part.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
    with pytest.raises(InputError, match="cannot be read as one"):
        indices.read(path, key="indices")


def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(InputError, match="cannot be read as one"):
            indices.read(path, key="indices")
