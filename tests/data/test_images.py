import dataclasses

import numpy as np
import pytest

from raylt.data.images import ArrayImages, Images, Sealed, Splits


def some(n=6, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 3, 2, 2), dtype=np.uint8)
    return ArrayImages(pixels, np.arange(n) % 3)


def test_a_part_of_a_part_keeps_its_order_and_copies_nothing():
    whole = some()
    part = whole.only(np.array([5, 1, 3])).only(np.array([2, 0]))
    assert isinstance(part, Images)
    assert part.labels.tolist() == [0, 2]
    np.testing.assert_array_equal(part.take(np.arange(2)), whole.pool[[3, 5]])
    np.testing.assert_array_equal(part.take(np.array([1])), whole.pool[[5]])
    assert part.pool is whole.pool
    assert len(part) == 2


@pytest.mark.parametrize(
    "look",
    [
        len,
        lambda images: images.labels,
        lambda images: images.take(np.arange(1)),
        lambda images: images.only(np.arange(1)),
    ],
)
def test_sealed_images_cannot_be_looked_at(look):
    with pytest.raises(PermissionError, match="only `raylt confirm` opens them"):
        look(Sealed())


def test_a_fingerprint_is_of_every_part_and_its_order():
    whole = some(60)
    parts = {
        name: whole.only(np.arange(12 * i, 12 * i + 12))
        for i, name in enumerate(("train", "balanced", "few_shot", "validation", "test"))
    }
    splits = Splits(**parts, classes=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert splits.train_counts == (4, 4, 4)
    assert splits.fingerprint == dataclasses.replace(splits).fingerprint
    changed = {
        dataclasses.replace(splits, **{name: part.only(np.arange(12)[::-1])}).fingerprint
        for name, part in parts.items()
    }
    assert len(changed | {splits.fingerprint}) == 6
