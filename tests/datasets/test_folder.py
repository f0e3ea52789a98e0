import numpy as np
import pytest
from PIL import Image

from raylt import datasets
from raylt.data.files import FileImages
from raylt.datasets import folder
from raylt.schema import EnvironmentError, InputError


def tree(at, sizes, shade=100):
    for label, size in enumerate(sizes):
        inner = at / f"class{label}" / "inner"
        inner.mkdir(parents=True)
        for k in range(size):
            Image.new("RGB", (10 + k % 3, 12), (shade, label, k)).save(inner / f"{k}.png")
        (inner / "notes.txt").write_text("no image")
    return at


def config(**values):
    return folder.Config.model_validate(
        {"images": "mine", "test": 5, "validation": 3, "resolution": 8, "workers": 0} | values
    )


@pytest.fixture
def root(tmp_path):
    tree(tmp_path / "mine", (40, 30, 28))
    (tmp_path / "mine" / ".hidden").mkdir()
    return tmp_path


def test_a_folder_is_made_long_tailed(root):
    splits = datasets.load(config(imbalance=4.0), root)
    assert splits.train_counts == (20, 10, 5)
    assert np.bincount(splits.test.labels).tolist() == [5, 5, 5]
    assert np.bincount(splits.validation.labels).tolist() == [3, 3, 3]
    assert splits.train.take(np.arange(2)).shape == (2, 3, 8, 8)


def test_a_folder_is_taken_as_it_is(root):
    splits = datasets.load(config(natural=True), root)
    assert splits.train_counts == (32, 22, 20)


@pytest.mark.parametrize("keep", ["memory", "files"])
def test_images_stay_in_memory_or_in_their_files(root, keep):
    splits = datasets.load(config(natural=True, keep=keep), root)
    assert isinstance(splits.train, FileImages) == (keep == "files")
    other = datasets.load(config(natural=True, keep="memory"), root)
    assert splits.fingerprint == other.fingerprint


def test_a_folder_of_test_images_is_the_test_set(root):
    tree(root / "test", (2, 2, 3), shade=200)
    splits = datasets.load(config(natural=True, test_images="test"), root)
    assert len(splits.test) == 7
    assert set(splits.test.take(np.arange(7))[:, 0, 4, 4].tolist()) == {200}
    assert splits.train_counts == (37, 27, 25)


def test_folders_of_different_classes_are_refused(root):
    tree(root / "test", (2, 2))
    with pytest.raises(InputError, match="'class2' is in one of them only"):
        datasets.load(config(test_images="test"), root)


def test_a_class_without_images_is_named(root):
    (root / "mine" / "empty").mkdir()
    with pytest.raises(InputError, match="mine/empty has none"):
        datasets.load(config(), root)


def test_a_class_with_too_few_images_is_named(root):
    with pytest.raises(InputError, match="class 2 must have 29 images for test or validation"):
        datasets.load(config(test=29), root)
    with pytest.raises(InputError, match="is left with 0"):
        datasets.load(config(imbalance=30.0), root)


def test_no_folder_and_no_classes_are_named(root):
    with pytest.raises(InputError, match="absent is none"):
        datasets.load(config(images="absent"), root)
    (root / "flat" / "one").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(root / "flat" / "one" / "a.png")
    with pytest.raises(InputError, match="a folder for each class, at least two, but holds 1"):
        datasets.load(config(images="flat"), root)


def test_a_file_that_is_no_image_is_named(root):
    (root / "mine" / "class1" / "broken.jpg").write_text("no image")
    with pytest.raises(EnvironmentError, match=r"broken\.jpg must be an image"):
        datasets.load(config(natural=True), root)


def test_what_cannot_be_cut_is_told_before_an_image_is_decoded(root):
    (root / "mine" / "class1" / "broken.jpg").write_text("no image")
    with pytest.raises(InputError, match="is left with 0"):
        datasets.load(config(imbalance=30.0), root)
