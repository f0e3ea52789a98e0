import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raylt import cli, datasets, plugins
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
        {10},
        {20},
        {30},
    )
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
    with pytest.raises(
        InputError, match=r"1 are not; .*\n.*test/2/1\.png.* is also .*: for train and for test"
    ):
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
    with pytest.raises(EnvironmentError, match=r"1 are not; .*\n.*test\.txt:6 \(test/1/2"):
        load(root, validation_list="val.txt")


@pytest.mark.parametrize("label", ["4", "-1", "1.0", "⁹", "cat"])
def test_a_label_that_is_no_class_is_refused(root, label):
    with (root / "train.txt").open("a") as file:
        file.write(f"train/0/0.png {label}\n")
    with pytest.raises(InputError, match=r"train\.txt:23: the class must be a number from 0 to 3"):
        load(root)


def test_classes_counted_from_one_are_seen(root):
    lines = [line.split() for line in (root / "train.txt").read_text().splitlines()]
    moved = [f"{path} {int(label) + 1}" for path, label in lines if label != "3"]
    (root / "train.txt").write_text("\n".join(moved))
    with pytest.raises(InputError, match=r"none of class 0; .* or counted from 1\?"):
        load(root, validation_list="val.txt")


def test_validation_images_are_no_training_images_however_they_are_spelled(root):
    lines = (root / "train.txt").read_text().splitlines()[:2]
    (root / "val.txt").write_text("\n".join(f"./{line}" for line in lines))
    with pytest.raises(InputError, match=r"2 are not; .*\n.*: for train and for validation"):
        load(root, validation_list="val.txt")


def test_lists_lie_below_the_root(root):
    with pytest.raises(InputError, match=r"data\.train_list must lie below the data root"):
        load(root, train_list="/etc/passwd")
    with (root / "train.txt").open("a") as file:
        file.write("../../etc/passwd 0\n")
    with pytest.raises(InputError, match=r"train\.txt:23: the path must lie below .*photos"):
        load(root)


@pytest.mark.parametrize("name", ["imagenet_lt", "imagenet100_lt", "places_lt", "inaturalist2018"])
def test_a_dataset_of_lists_names_the_list_that_is_missing(name, tmp_path):
    config = plugins.config("datasets", name)()
    message = rf"{config.train_list} \(data\.train_list\) and \d more; .*datasets/{name}\.py"
    with pytest.raises(InputError, match=message):
        datasets.load(config, tmp_path)
    with pytest.raises(InputError, match=f"{name} cannot be downloaded"):
        datasets.fetch(name, tmp_path, source=None, progress=lambda done, size: None)


# Lines as the field's lists have them: (training, validation or none, test).
LINES = {
    "imagenet_lt": (
        "train/n0144076{k}/n0144076{k}_{i}.JPEG",
        "train/n0144076{k}/n0144076{k}_9{i}.JPEG",
        "val/ILSVRC2012_val_0000{k}{i:03d}.JPEG",
    ),
    "places_lt": (
        "data_256/a/air{k}/{i:08d}.jpg",
        "data_256/a/air{k}/1{i:07d}.jpg",
        "val_256/Places365_val_000{k}{i:03d}.jpg",
    ),
    "inaturalist2018": (
        "train_val2018/Aves/{k}/{k}{i:031x}.jpg",
        None,
        "train_val2018/Aves/{k}/f{k}{i:030x}.jpg",
    ),
}
LINES["imagenet100_lt"] = LINES["imagenet_lt"]


@pytest.mark.parametrize("name", LINES)
def test_the_fields_trees_are_shown_by_the_command(name, tmp_path, monkeypatch, capsys):
    """Its lists at their usual places, of three classes instead of hundreds."""
    monkeypatch.setattr(plugins.module("datasets", name), "CLASSES", 3)
    config = plugins.config("datasets", name)()
    lists = (config.train_list, config.validation_list, config.test_list)
    for listed, line, sizes in zip(
        lists, LINES[name], (SIZES[:3], (2,) * 3, (4,) * 3), strict=True
    ):
        assert (listed is None) == (line is None)
        if listed is not None:
            _write(tmp_path, config.images, listed, line, sizes)
    if getattr(config, "few_shot_list", None):
        _write(tmp_path, config.images, config.few_shot_list, LINES[name][0], (2, 2, 1))
    space = str(Path(__file__).parents[2] / "search_spaces" / "bcl-imagenet-lt-r50.yaml")
    words = [f"data.name={name}", "data.resolution=8", "data.workers=0"]
    words += ["--data", str(tmp_path), "--out", str(tmp_path / "tail.png"), "--json"]
    assert cli.run(["data", "show", space, *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    listed = config.validation_list is not None
    # Without a list each class of five images or more gives one for validation.
    assert printed["train_counts"] == ([12, 6, 3] if listed else [11, 5, 3])
    assert printed["validation_counts"] == ([2, 2, 2] if listed else [1, 1, 0])
    assert printed["parts"]["test"] == 12


def _write(root, images, listed, line, sizes):
    (root / listed).parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for k, size in enumerate(sizes):
        for i in range(size):
            path = root / images / line.format(k=k, i=i)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 12), (10, k, i)).save(path)
            lines.append(f"{line.format(k=k, i=i)} {k}\n")
    (root / listed).write_text("".join(lines))
