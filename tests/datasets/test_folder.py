import json

import numpy as np
import pytest
from PIL import Image

from raylt import datasets, recipe, space
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


def test_folders_of_test_and_validation_images_are_those_parts(root):
    tree(root / "test", (2, 2, 3), shade=200)
    tree(root / "val", (1, 2, 2), shade=150)
    splits = datasets.load(config(natural=True, test_images="test"), root)
    assert len(splits.test) == 7
    assert set(splits.test.take(np.arange(7))[:, 0, 4, 4].tolist()) == {200}
    assert splits.train_counts == (37, 27, 25)
    others = {"test_images": "test", "validation_images": "val"}
    splits = datasets.load(config(natural=True, **others), root)
    assert set(splits.validation.take(np.arange(5))[:, 0, 4, 4].tolist()) == {150}
    assert splits.train_counts == (40, 30, 28)
    assert len(splits.balanced) == 98
    assert config(**others).has_validation()
    assert not config(validation=0).has_validation()
    with pytest.raises(ValueError, match=r"at least 1 beside data\.validation_images"):
        config(**others, validation=0)


def test_a_folder_of_other_classes_is_refused(root):
    tree(root / "test", (2, 2, 2, 2))
    with pytest.raises(InputError, match="'class3' is in one of them only"):
        datasets.load(config(test_images="test"), root)


def test_a_class_without_images_is_named(root):
    (root / "mine" / "empty").mkdir()
    with pytest.raises(InputError, match="class 'empty' has none"):
        datasets.load(config(), root)


def test_classes_have_their_names(root):
    assert datasets.load(config(natural=True), root).names == ("class0", "class1", "class2")


def test_classes_with_too_few_images_are_named_with_the_keys_that_help(root):
    with pytest.raises(
        InputError,
        match=r"27 for data\.test, 3 for data\.validation, 1 to train on, but 2 of 3 have "
        r"fewer; lower data\.test and data\.validation, .*\n  class 'class1' has 30\n",
    ):
        datasets.load(config(test=27, natural=True), root)
    with pytest.raises(
        InputError, match=r"lower data\.imbalance, or set data\.natural: true .*\n  class 'class2'"
    ):
        datasets.load(config(imbalance=30.0), root)


def test_no_folder_and_a_folder_elsewhere_are_refused(root):
    with pytest.raises(InputError, match="absent is none"):
        datasets.load(config(images="absent"), root)
    with pytest.raises(InputError, match=r"data\.images must lie below the data root"):
        datasets.load(config(images=".."), root)


def test_what_cannot_be_cut_is_told_before_an_image_is_decoded(root):
    (root / "mine" / "class1" / "broken.jpg").write_text("no image")
    with pytest.raises(InputError, match="must keep an image"):
        datasets.load(config(imbalance=30.0), root)


def test_all_broken_images_are_named_at_once(root):
    for k in range(25):
        (root / "mine" / "class1" / f"broken{k:02d}.jpg").write_text("no image")
    with pytest.raises(EnvironmentError, match="25 cannot be read") as caught:
        datasets.load(config(natural=True), root)
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert "broken19.jpg: it is empty or no image" in lines[20]
    assert lines[21].strip() == "and 5 more"


@pytest.mark.parametrize("keep", ["memory", "files"])
def test_broken_images_may_be_left_out(root, keep):
    whole = datasets.load(config(natural=True, keep=keep, broken="skip"), root)
    assert whole.broken == ()
    assert whole.fingerprint == datasets.load(config(natural=True, keep=keep), root).fingerprint
    (root / "mine" / "class1" / "broken.jpg").write_text("no image")
    splits = datasets.load(config(natural=True, keep=keep, broken="skip"), root)
    assert splits.broken == ("class1/broken.jpg",)
    assert splits.train_counts == whole.train_counts
    assert splits.facts == {
        **whole.facts,
        "classes": ["class0", "class1", "class2"],
        "broken": 1,
        "broken_names": ["class1/broken.jpg"],
        "left_out": {"hidden files and folders": 1, ".txt": 3},
    }
    # The images that are left are the same, but it is another dataset.
    assert splits.fingerprint != whole.fingerprint


def test_pixels_of_sixteen_bits_tell_two_sets_apart(tmp_path):
    for name in ("one", "two"):
        random = np.random.RandomState(len(name) + ord(name[0]))
        for k in range(24):
            path = tmp_path / name / f"c{k % 2}" / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.randint(300, 65535, (24, 24)).astype(np.uint16)).save(path)
    first, two = (
        datasets.load(config(images=name, natural=True), tmp_path) for name in ("one", "two")
    )
    assert first.fingerprint != two.fingerprint
    assert 20 < first.train.take(np.arange(4)).mean() < 235


def test_a_recipe_of_before_keeps_its_meaning_and_its_digest():
    """Version 0.1.0 cut the tail where `natural` was left out, and digests leave out defaults."""
    values = {
        "data": {"name": "folder", "images": "mine"},
        "method": {"name": "sdclr", "prune": 0.5, "temperature": 0.2},
        "encoder": "small",
        "optimizer": {"lr": 0.1, "batch_size": 8},
        "epochs": 2,
    }
    run = recipe.parse(values)
    assert not run.data.natural
    assert run.digest == "b46ec684841a8853"
    assert recipe.parse(run.model_dump()).digest == run.digest
    natural = {**values, "data": {**values["data"], "natural": True}}
    assert recipe.parse(natural).digest == "e913d544b8d43140"


def space_of(tmp_path, *overrides, **data):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"""
study: {{name: mine, trials: 2, objective: val/accuracy, scheduler: {{name: none}}}}
recipe:
  data: {json.dumps({"name": "folder", "images": "mine"} | data)}
  method: {{name: sdclr, prune: {{low: 0.1, high: 0.9}}, temperature: 0.2}}
  encoder: small
  optimizer: {{lr: 0.1, batch_size: 8}}
  epochs: 2
"""
    )
    return space.load(path, overrides), path


def test_a_new_space_keeps_the_sizes_unless_it_asks_for_a_tail(tmp_path):
    natural, path = space_of(tmp_path)
    assert natural.fixed["data"]["natural"] is True
    cut, _ = space_of(tmp_path, imbalance=4)
    assert "natural" not in cut.fixed["data"]
    assert not recipe.dataset(cut.fixed).natural
    assert not recipe.dataset(space_of(tmp_path, "data.imbalance=4")[0].fixed).natural
    with pytest.raises(InputError, match=r"imbalance: does nothing beside natural: true"):
        space_of(tmp_path, "data.imbalance=4", natural=True)
    # As a study keeps it, a space is the same; one of before has no such line, and its meaning.
    path.write_text(natural.text)
    assert space.stored(path).digest == natural.digest
    path.write_text(natural.text.replace("natural: true", ""))
    assert not recipe.dataset(space.stored(path).fixed).natural
