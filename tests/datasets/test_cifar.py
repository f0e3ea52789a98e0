import hashlib
import io
import pickle
import warnings

import numpy as np
import pytest
import torchvision

from raylt import datasets, plugins
from raylt.data.archive import Archive
from raylt.datasets import _cifar, cifar10, cifar100
from raylt.schema import EnvironmentError

# Images of class 0..9 in the published split files of SDCLR.
SPLITS = {
    1: (348, 969, 125, 208, 1617, 75, 4500, 581, 2697, 45),
    2: (581, 348, 208, 4500, 969, 45, 125, 1617, 75, 2697),
    3: (4500, 125, 1617, 45, 2697, 581, 348, 208, 969, 75),
    4: (1617, 581, 75, 125, 4500, 45, 969, 2697, 208, 348),
    5: (581, 969, 4500, 348, 2697, 45, 75, 125, 1617, 208),
}


@pytest.mark.parametrize("split", SPLITS)
def test_splits_have_the_published_class_sizes(split):
    assert cifar10.Config(split=split).train_counts() == SPLITS[split]


def test_splits_of_cifar100_permute_the_same_sizes():
    counts = [cifar100.Config(split=split).train_counts() for split in range(6)]
    assert len(set(counts)) == 6
    assert len({tuple(sorted(each)) for each in counts}) == 1
    assert sum(counts[0]) == 9754


@pytest.mark.parametrize(
    ("module", "imbalance", "total"),
    [
        (cifar10, 100, 12_406),
        (cifar10, 10, 20_431),
        (cifar100, 50, 12_608),
        (cifar100, 10, 19_573),
    ],
)
def test_without_validation_the_tail_is_the_published_one(module, imbalance, total):
    config = module.Config(validation=0, imbalance=float(imbalance))
    assert sum(config.train_counts()) == total


def test_an_empty_class_is_refused():
    with pytest.raises(ValueError, match="is left with 0"):
        cifar100.Config(imbalance=500.0)


class Python2Pickler(pickle._Pickler):
    """Writes the strings of Python 2, as the published files hold them."""

    def save_old_string(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_old_string}  # noqa: RUF012


def written(tmp_path, content):
    """An archive of one file, unpacked."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    # NumPy has moved a function since.
    pickled = buffer.getvalue().replace(b"numpy._core.", b"numpy.core.")
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "one").write_bytes(pickled)
    sums = {"one": hashlib.md5(pickled).hexdigest()}
    return Archive("toy", "http://127.0.0.1:9/", "", "toy", sums)


def test_files_are_read_as_torchvision_reads_them(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    toy = written(tmp_path, {"data": pixels, "labels": [0, 1, 2, 0, 1, 2]})
    images = _cifar._images(toy, tmp_path, ["one", "one"], "labels")
    assert images.pixels.shape == (12, 3, 32, 32)
    assert images.labels.tolist() == [0, 1, 2] * 4
    np.testing.assert_array_equal(images.pixels[6:].reshape(6, -1), pixels)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(cifar10, torchvision.datasets.CIFAR10), (cifar100, torchvision.datasets.CIFAR100)],
)
def test_the_archives_are_the_ones_that_torchvision_knows(ours, theirs):
    known = ours.ARCHIVE
    assert (known.url, known.folder) == (theirs.url, theirs.base_folder)
    # The order of the files is that of the images.
    assert list(known.files.items()) == [tuple(f) for f in theirs.train_list + theirs.test_list]


class Payload:
    def __reduce__(self):
        return print, ("this program ran",)


def test_a_file_that_would_run_a_program_is_refused(tmp_path, capsys):
    toy = written(tmp_path, {"data": Payload()})
    with pytest.raises(pickle.UnpicklingError, match="arrays only"):
        _cifar._images(toy, tmp_path, ["one"], "labels")
    assert "this program ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_missing_files_name_the_command_that_fetches_them(name, tmp_path):
    with pytest.raises(EnvironmentError, match=f"raylt data get {name}"):
        datasets.load(plugins.config("datasets", name)(), tmp_path)


@pytest.mark.parametrize(("module", "each"), [(cifar10, 45), (cifar100, 4)])
@pytest.mark.parametrize("validation", [0, 100])
def test_few_shot_labels_are_as_many_as_in_the_published_lists(module, each, validation):
    assert module.Config(validation=validation).few_shot == each


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
def test_a_users_split_file_is_the_training_set(cifar100_root, tmp_path):
    chosen = np.concatenate([np.arange(k, 50_000, 1000) for k in range(100)])
    np.save(tmp_path / "chosen.npy", chosen)
    config = cifar100.Config(indices=str(tmp_path / "chosen.npy"))
    splits = cifar100.load(config, cifar100_root)
    assert len(splits.train) == len(chosen)
    held = {image.tobytes() for image in splits.validation.pixels}
    shared = held & {image.tobytes() for image in splits.train.pixels}
    assert len(shared) < 5  # CIFAR-100 holds a few pictures twice


@pytest.mark.slow
@pytest.mark.parametrize("split", [1, 2])
def test_the_released_splits_are_used_as_they_are(cifar100_root, released_splits, split):
    files = {
        "indices": f"cifar100_split{split}_D_i.npy",
        "few_shot_indices": f"cifar100_split{split}_S_b.npy",
        "validation_indices": "cifar100_valIdxList.npy",
        "balanced_indices": "cifar100_trainIdxList.npy",
    }
    paths = {key: str(released_splits / name) for key, name in files.items()}
    splits = datasets.load(cifar100.Config(**paths), cifar100_root)
    parts = (splits.train, splits.few_shot, splits.validation, splits.balanced)
    for part, path in zip(parts, paths.values(), strict=True):
        np.testing.assert_array_equal(part.rows, np.load(path))
    assert [len(part) for part in parts] == [9754, 400, 5000, 40_000]
    # The sizes of raylt's own tail, in another order of the classes.
    own = cifar100.Config(split=split).train_counts()
    assert sorted(splits.train_counts) == sorted(own)
    assert splits.train_counts != own
    # Without the file of few-shot labels they are drawn from the training images.
    del paths["few_shot_indices"]
    drawn = datasets.load(cifar100.Config(**paths), cifar100_root).few_shot
    assert np.bincount(drawn.labels).tolist() == [4] * 100
    assert np.isin(drawn.rows, splits.train.rows).all()
