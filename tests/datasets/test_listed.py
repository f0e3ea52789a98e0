import numpy as np
import pytest
from PIL import Image

from raylt import datasets, plugins
from raylt.data.longtail import Listed
from raylt.datasets import _listed
from raylt.schema import EnvironmentError, InputError

SIZES = (12, 6, 3, 1)


class Config(Listed):
    name: str = "toy"
    images: str = "photos"
    train_list: str = "train.txt"
    test_list: str = "test.txt"
    resolution: int = 8
    workers: int = 0


@pytest.fixture
def root(tmp_path):
    """Lists and images of four classes; an image's shade tells its list."""
    photos = tmp_path / "photos"
    for part, sizes, shade in (
        ("train", SIZES, 10),
        ("val", (2,) * 4, 20),
        ("test", (3,) * 4, 30),
    ):
        lines = []
        for label, size in enumerate(sizes):
            (photos / part / str(label)).mkdir(parents=True)
            for k in range(size):
                name = f"{part}/{label}/{k}.png"
                Image.new("RGB", (9, 12), (shade, label, k)).save(photos / name)
                lines.append(f"{name} {label}\n")
        (tmp_path / f"{part}.txt").write_text("".join(lines))
    return tmp_path


def load(root, **values):
    return _listed.load(Config(**values), root, classes=4, mean=(0.5,) * 3, std=(0.2,) * 3)


def shades(images):
    return set(images.take(np.arange(len(images)))[:, 0, 4, 4].tolist())


def test_lists_are_the_parts(root):
    splits = load(root, validation_list="val.txt")
    assert splits.train_counts == SIZES
    assert (shades(splits.train), shades(splits.validation), shades(splits.test)) == (
        {10}, {20}, {30},
    )  # fmt: skip
    assert len(splits.balanced) == sum(SIZES)
    assert np.bincount(splits.few_shot.labels).tolist() == [4, 4, 3, 1]
    assert splits.fingerprint == load(root, validation_list="val.txt").fingerprint


def test_without_a_list_validation_comes_from_the_classes_that_can_give(root):
    splits = load(root, validation=1)
    assert np.bincount(splits.validation.labels, minlength=4).tolist() == [1, 1, 0, 0]
    assert splits.train_counts == (11, 5, 3, 1)
    assert not set(splits.train.names) & set(splits.validation.names)


def test_lists_of_labels_for_probes(root):
    lines = (root / "train.txt").read_text() + (root / "val.txt").read_text()
    (root / "all.txt").write_text(lines)
    (root / "few.txt").write_text("train/0/3.png 0\ntrain/3/0.png 3\nval/1/0.png 1\n")
    splits = load(
        root, validation_list="val.txt", balanced_list="all.txt", few_shot_list="few.txt"
    )
    assert len(splits.balanced) == sum(SIZES)  # validation images are no labels for a probe
    assert splits.few_shot.names.tolist() == ["train/0/3.png", "train/3/0.png"]


def test_lists_that_share_an_image_are_refused(root):
    with (root / "train.txt").open("a") as file:
        file.write("test/2/1.png 2\n")
    with pytest.raises(InputError, match=r"training and test .* share 1, such as test/2/1\.png"):
        load(root, validation_list="val.txt")


def test_a_class_without_a_training_image_is_refused(root):
    lines = (root / "train.txt").read_text().splitlines(keepends=True)
    (root / "train.txt").write_text("".join(lines[:-1]))
    with pytest.raises(
        InputError, match=r"train\.txt: must name .* 4 classes, .* none of class 3"
    ):
        load(root, validation_list="val.txt")


def test_a_missing_image_is_named_before_anything_is_trained(root):
    (root / "photos" / "test" / "1" / "2.png").unlink()
    with pytest.raises(EnvironmentError, match=r"test\.txt must lie below .* test/1/2\.png"):
        load(root, validation_list="val.txt")


@pytest.mark.parametrize("name", ["imagenet_lt", "imagenet100_lt", "places_lt", "inaturalist2018"])
def test_a_dataset_of_lists_names_the_list_that_is_missing(name, tmp_path):
    config = plugins.config("datasets", name)()
    with pytest.raises(InputError, match=config.train_list):
        datasets.load(config, tmp_path)
    with pytest.raises(InputError, match=f"{name} has none"):
        datasets.fetch(name, tmp_path, source=None, progress=lambda done, size: None)
