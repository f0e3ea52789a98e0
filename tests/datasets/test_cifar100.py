import warnings

import numpy as np
import pytest
import torchvision

from raylt import datasets
from raylt.datasets import cifar100


def test_splits_of_cifar100_permute_the_same_sizes():
    counts = [cifar100.Config(split=split).train_counts() for split in range(6)]
    assert len(set(counts)) == 6
    assert len({tuple(sorted(count)) for count in counts}) == 1
    assert sum(counts[0]) == 9754


def test_an_empty_class_is_refused():
    with pytest.raises(ValueError, match="is left with 0"):
        cifar100.Config(imbalance=500.0)


@pytest.mark.slow
@pytest.mark.parametrize("imbalance", [10, 50, 100])
def test_the_long_tail_is_the_fields_index_for_index(cifar100_root, imbalance):
    splits = cifar100.load(
        cifar100.Config(validation=0, imbalance=float(imbalance)), cifar100_root
    )
    pixels, targets = published_tail(cifar100_root, imbalance)
    np.testing.assert_array_equal(splits.train.labels, targets)
    np.testing.assert_array_equal(splits.train.take(np.arange(len(targets))), pixels)


def published_tail(root, imbalance):
    """LDAM's rule read slowly, on torchvision's own copy of the data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy dislikes the pickles of 2009
        pool = torchvision.datasets.CIFAR100(root, train=True)
    targets = np.array(pool.targets)
    np.random.seed(0)
    kept = []
    for k in range(100):
        members = np.where(targets == k)[0]
        np.random.shuffle(members)
        kept.append(members[: int(500 * (1 / imbalance) ** (k / 99.0))])
    kept = np.concatenate(kept)
    return pool.data[kept].transpose(0, 3, 1, 2), targets[kept]


@pytest.mark.slow
def test_the_search_holds_out_a_tenth_before_the_tail(cifar100_root):
    splits = datasets.load(cifar100.Config(), cifar100_root)
    assert np.bincount(splits.validation.labels).tolist() == [50] * 100
    assert np.bincount(splits.test.labels).tolist() == [100] * 100
    assert splits.train_counts == cifar100.Config().train_counts()
    assert np.bincount(splits.few_shot.labels).tolist() == [4] * 100
    assert len(splits.balanced) == 45_000
    published = datasets.load(cifar100.Config(balanced=400), cifar100_root)
    assert np.bincount(published.balanced.labels).tolist() == [400] * 100
    whole = datasets.load(cifar100.Config(validation=0), cifar100_root)
    assert np.bincount(whole.few_shot.labels).tolist() == [4] * 100
    pixels = splits.balanced.take(np.arange(0, 45_000, 10)) / 255
    # The numbers that everybody uses are those of CIFAR-10, near but not the same.
    assert np.abs(pixels.mean((0, 2, 3)) - splits.mean).max() < 0.03


@pytest.mark.slow
def test_a_users_split_file_is_the_training_set(linked_root):
    chosen = np.concatenate([np.arange(k, 50_000, 1000) for k in range(100)])
    np.save(linked_root / "chosen.npy", chosen)
    splits = cifar100.load(cifar100.Config(indices="chosen.npy"), linked_root)
    assert len(splits.train) == len(chosen)
    held_out, trained = (
        {image.tobytes() for image in part.take(np.arange(len(part)))}
        for part in (splits.validation, splits.train)
    )
    shared = held_out & trained
    assert len(shared) < 5  # CIFAR-100 holds a few pictures twice


@pytest.mark.slow
@pytest.mark.parametrize("split", [1, 2])
def test_the_released_splits_are_used_as_they_are(linked_root, released_splits, split):
    # Files elsewhere are reached by a link below the data root, which is the user's own choice.
    (linked_root / "released").symlink_to(released_splits)
    files = {
        "indices": f"cifar100_split{split}_D_i.npy",
        "few_shot_indices": f"cifar100_split{split}_S_b.npy",
        "validation_indices": "cifar100_valIdxList.npy",
        "balanced_indices": "cifar100_trainIdxList.npy",
    }
    paths = {key: f"released/{name}" for key, name in files.items()}
    splits = datasets.load(cifar100.Config(**paths), linked_root)
    parts = (splits.train, splits.few_shot, splits.validation, splits.balanced)
    for part, path in zip(parts, paths.values(), strict=True):
        np.testing.assert_array_equal(part.rows, np.load(linked_root / path))
    assert [len(part) for part in parts] == [9754, 400, 5000, 40_000]
    # The sizes of raylt's own tail, in another order of the classes.
    own = cifar100.Config(split=split).train_counts()
    assert sorted(splits.train_counts) == sorted(own)
    assert splits.train_counts != own
    # Without the file of few-shot labels they are drawn from the training images.
    del paths["few_shot_indices"]
    drawn = datasets.load(cifar100.Config(**paths), linked_root).few_shot
    assert np.bincount(drawn.labels).tolist() == [4] * 100
    assert np.isin(drawn.rows, splits.train.rows).all()
