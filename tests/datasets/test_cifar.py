import hashlib
import io
import pickle

import numpy as np
import pytest
import torchvision

from raylt import datasets, plugins
from raylt.data.archive import Archive
from raylt.datasets import _cifar, cifar10, cifar100
from raylt.schema import EnvironmentError


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


FILES = ("first", "second", "test")


class Python2Pickler(pickle._Pickler):
    """Writes the strings of Python 2, as the published files hold them."""

    def save_old_string(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_old_string}  # noqa: RUF012


def written(tmp_path, content):
    """An archive of three files with the same content, unpacked."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    # NumPy has moved a function since.
    pickled = buffer.getvalue().replace(b"numpy._core.", b"numpy.core.")
    (tmp_path / "toy").mkdir()
    for name in FILES:
        (tmp_path / "toy" / name).write_bytes(pickled)
    sums = dict.fromkeys(FILES, hashlib.md5(pickled).hexdigest())
    return Archive("toy", "http://127.0.0.1:9/", "", "toy", sums)


def loaded(toy, tmp_path):
    np.save(tmp_path / "all.npy", np.arange(12))
    config = cifar10.Config(validation=0, indices="all.npy")
    return _cifar.load(
        toy,
        config,
        tmp_path,
        names=("a", "b", "c"),
        sealed="test",
        labels="labels",
        normalise="cifar",
    )


def test_files_are_read_as_torchvision_reads_them(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), dtype=np.uint8)
    toy = written(tmp_path, {"data": pixels, "labels": [0, 1, 2, 0, 1, 2]})
    splits = loaded(toy, tmp_path)
    images = splits.train.take(np.arange(12))
    assert images.shape == (12, 3, 32, 32)
    assert splits.train.labels.tolist() == [0, 1, 2] * 4
    np.testing.assert_array_equal(images[6:].reshape(6, -1), pixels)
    np.testing.assert_array_equal(splits.test.take(np.arange(6)), images[:6])


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
        loaded(toy, tmp_path)
    assert "this program ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_missing_files_name_the_command_that_fetches_them(name, tmp_path):
    with pytest.raises(EnvironmentError, match=f"raylt data get {name}"):
        datasets.load(plugins.config("datasets", name)(), tmp_path)


@pytest.mark.parametrize(("module", "per_class"), [(cifar10, 45), (cifar100, 4)])
@pytest.mark.parametrize("validation", [0, 100])
def test_few_shot_labels_are_as_many_as_in_the_published_lists(module, per_class, validation):
    assert module.Config(validation=validation).few_shot == per_class
