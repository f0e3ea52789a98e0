"""Copies of one picture in several parts are found by their bytes, whatever they are called."""

import shutil

import numpy as np
import pytest
from PIL import Image

from raylt import datasets
from raylt.data.reading import copies
from raylt.datasets.folder import Config

KEYS = {"train": "images", "validation": "validation_images", "test": "test_images"}


@pytest.fixture
def root(tmp_path):
    """Pictures of two classes in three parts, all of one length and with the same beginning."""
    rng = np.random.default_rng(0)
    for part in KEYS:
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 255, (50, 40, 3), np.uint8)
                pixels[:40] = 0
                Image.fromarray(pixels).save(tmp_path / part / label / f"{number}.bmp")
    return tmp_path


def sentence(root, **changes):
    parts = {key: part for part, key in KEYS.items()}
    config = Config.model_validate({"natural": True, **parts, **changes})
    return copies.sentence(datasets.divided(config, root))


def test_pictures_that_are_apart_are_not_warned_of(root):
    assert sentence(root) == ""
    # A copy within one part is its owner's business.
    shutil.copy(root / "train/cat/0.bmp", root / "train/cat/copy.bmp")
    assert sentence(root) == ""


def test_copies_are_counted_and_two_are_named(root):
    shutil.copy(root / "train/cat/0.bmp", root / "test/dog/other.bmp")
    line = sentence(root)
    assert "1 picture is in more than one part under other names" in line
    names = [f"{root / 'test/dog/other.bmp'} (test)", f"{root / 'train/cat/0.bmp'} (train)"]
    assert " is ".join(names) in line
    for number in (1, 2):
        shutil.copy(root / f"train/dog/{number}.bmp", root / f"validation/cat/x{number}.bmp")
    line = sentence(root)
    assert "3 pictures are in more than one part" in line
    assert line.count("(train)") == 2
    assert line.endswith(", and 1 more; keep one file of each")


def test_copies_are_seen_where_the_parts_are_taken_from_one_folder(root):
    for label in ("cat", "dog"):
        for number in range(4):
            path = root / "train" / label / f"{number}.bmp"
            shutil.copy(path, path.with_stem(f"{number}-copy"))
    parts = dict.fromkeys(("validation_images", "test_images"))
    line = sentence(root, **parts, validation=1, test=1)
    assert "in more than one part" in line


def test_empty_and_unreadable_files_are_like_no_other(root):
    for part in ("train", "test"):
        (root / part / "cat" / "empty.bmp").touch()
    paths = {part: [str(root / part / "gone.bmp")] for part in ("train", "test")}
    assert sentence(root) == ""
    assert copies.across(paths) == []


def test_few_files_are_read_to_their_end(tmp_path, monkeypatch):
    contents = {"train": b"a" * 9000, "test": b"b" * 9000, "validation": b"a" * 9001}
    for part, content in contents.items():
        (tmp_path / part).write_bytes(content)
    monkeypatch.setattr(copies, "_digest", lambda path: pytest.fail(f"{path} was read"))
    assert copies.across({part: [str(tmp_path / part)] for part in contents}) == []
