from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raylt.data.survey import survey
from raylt.schema import InputError


def photo(path, seed=0, size=(12, 10)):
    """A small picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3))
    Image.fromarray(noise.astype(np.uint8)).save(path)


def tree(at, sizes):
    for name, size in sizes.items():
        for k in range(size):
            photo(at / name / f"{k}.png", seed=k)
    return at


def test_a_folder_of_classes(tmp_path):
    source = tree(tmp_path / "set", {"b": 3, "a": 5})
    photo(source / "a" / "wide.JPG", size=(40, 20))
    (source / "b" / "broken.png").write_text("no image")
    (source / "b" / "notes.txt").write_text("no image")
    surveyed = survey(source)
    assert (surveyed.layout, surveyed.root) == ("folder", tmp_path)
    assert surveyed.data == {"name": "folder", "images": "set"}
    assert (surveyed.classes, surveyed.counts) == (("a", "b"), {"train": (6, 3)})
    assert (surveyed.images, surveyed.opened, surveyed.channels) == (9, 10, 3)
    assert (surveyed.sizes[0], surveyed.sizes[-1]) == ((12, 10), (40, 20))
    assert surveyed.modes == {"RGB": 9}
    assert surveyed.broken == (f"{source / 'b' / 'broken.png'}: it is empty or no image",)
    assert surveyed.left_out == {".txt": 1}


def test_folders_by_part(tmp_path):
    for part, size in (("train", 4), ("val", 2), ("test", 1)):
        tree(tmp_path / "set" / part, {"a": size, "b": size})
    surveyed = survey(tmp_path / "set", root=tmp_path)
    assert surveyed.layout == "parts"
    assert surveyed.data == {
        "name": "folder",
        "images": "set/train",
        "validation_images": "set/val",
        "test_images": "set/test",
    }
    assert surveyed.counts == {"train": (4, 4), "validation": (2, 2), "test": (1, 1)}


def test_a_table_with_its_images_in_a_folder_beside_it(tmp_path):
    tree(tmp_path / "photos", {"x": 4})
    rows = ["path,label,split", "x/0.png,cat,train", "x/1.png,dog,train", "x/2.png,dog,test"]
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "x/9.png,cat,train"]))
    surveyed = survey(tmp_path / "labels.csv")
    assert surveyed.data == {"name": "table", "images": "photos", "table": "labels.csv"}
    assert surveyed.counts == {"train": (1, 1), "test": (0, 1)}
    assert surveyed.broken == (f"{tmp_path / 'labels.csv'}:5 (x/9.png): it is not there",)


def test_lists_by_part(tmp_path):
    source = tree(tmp_path / "set", {"x": 4})
    (source / "train.txt").write_text("x/0.png 0\nx/1.png 1\n")
    (source / "val.txt").write_text("x/2.png 0\nx/3.png 1\n")
    surveyed = survey(source)
    assert surveyed.layout == "tables"
    tables = {"table": "set/train.txt", "validation_table": "set/val.txt"}
    assert surveyed.data == {"name": "table", "images": "set", **tables}
    assert surveyed.counts == {"train": (1, 1), "validation": (1, 1)}


def test_of_many_images_some_are_opened(tmp_path):
    surveyed = survey(tree(tmp_path / "set", {"a": 9, "b": 9}), opened=6)
    assert (surveyed.images, surveyed.opened, len(surveyed.sizes)) == (18, 6, 6)


def test_grey_images_have_one_channel(tmp_path):
    for name in "ab":
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (7, 7, 7)).save(tmp_path / "set" / name / "0.png")
    assert survey(tmp_path / "set").channels == 1


def test_nothing_is_no_source(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        survey(Path(tmp_path / "absent"))
    with pytest.raises(InputError, match="at least two, but has 0"):
        survey(tmp_path)
