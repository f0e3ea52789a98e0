from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raylt import datasets
from raylt.datasets import digits


@pytest.fixture(scope="module")
def splits():
    return datasets.load(digits.Config(), Path("unused"))


def test_the_tail_is_the_one_of_the_documentation(splits):
    assert splits.train_counts == (104, 74, 53, 38, 27, 19, 14, 10, 7, 5)
    assert len(splits.train) == 351


def test_test_and_validation_are_balanced(splits):
    assert np.bincount(splits.test.labels).tolist() == [40] * 10
    assert np.bincount(splits.validation.labels).tolist() == [30] * 10
    assert len(splits.balanced) == 1797 - 700
    assert np.bincount(splits.few_shot.labels).tolist() == [4] * 10


def test_no_image_is_in_two_parts(splits):
    def contents(part):
        return {image.tobytes() for image in part.take(np.arange(len(part)))}

    held_out = contents(splits.test) | contents(splits.validation)
    assert len(held_out) == 700
    assert not held_out & contents(splits.balanced)
    assert contents(splits.train) <= contents(splits.balanced)


def test_pixels_use_the_range_of_uint8(splits):
    pixels = splits.balanced.take(np.arange(len(splits.balanced)))
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (1, 8, 8)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert abs(pixels.mean() / 255 - splits.mean[0]) < 0.01
    assert abs(pixels.std() / 255 - splits.std[0]) < 0.01


def test_another_seed_cuts_another_tail_from_the_same_pool(splits):
    other = datasets.load(digits.Config(tail_seed=1), Path("unused"))
    assert other.fingerprint != splits.fingerprint
    assert other.train_counts == splits.train_counts
    np.testing.assert_array_equal(
        other.test.take(np.arange(400)), splits.test.take(np.arange(400))
    )


def test_scans_are_scikit_learns(tmp_path):
    theirs = load_digits()
    pixels = np.round(theirs.images * (255 / 16)).astype(np.uint8)
    known = {image.tobytes(): label for image, label in zip(pixels, theirs.target, strict=True)}
    splits = digits.load(digits.Config(validation=0), tmp_path)
    ours: dict[bytes, int] = {}
    for part in (splits.balanced, splits.test):
        images = part.take(np.arange(len(part)))[:, 0]
        ours |= {image.tobytes(): k for image, k in zip(images, part.labels, strict=True)}
    assert ours == known
    assert len(splits.balanced) + len(splits.test) == len(pixels)
