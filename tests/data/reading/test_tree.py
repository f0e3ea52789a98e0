import os

import numpy as np
import pytest
import torchvision
from PIL import Image

from raylt.data.reading import tree
from raylt.schema import EnvironmentError, InputError
from tests.data.reading.made import folder, picture


@pytest.fixture
def top(tmp_path):
    return folder(tmp_path / "set", {"c0": 6, "c1": 4, "c2": 4})


def read(top):
    return tree.collection({"train": top})


def files(collection):
    part = collection.parts["train"]
    return dict(zip(part.names, part.labels, strict=True))


def test_classes_and_labels_are_torchvisions(top):
    for name in ("10", "2", "Zebra", "名 前 é"):
        picture(top / name / "ü %20 #?.png")
    (top / "c1" / "inner").mkdir()
    picture(top / "c1" / "inner" / "x.png")
    collection, theirs = read(top), torchvision.datasets.ImageFolder(top)
    assert list(collection.classes) == theirs.classes
    expected = {os.path.relpath(path, top): label for path, label in theirs.samples}
    assert files(collection) == expected


@pytest.mark.parametrize(
    "case", ["._000.png", ".thumbs/x.png", ".ipynb_checkpoints", "../__MACOSX/._x.png"]
)
def test_hidden_files_and_folders_are_left_out(top, case):
    path = top / "c0" / case
    if path.suffix:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    else:
        path.mkdir()
    collection = read(top)
    assert collection.classes == ("c0", "c1", "c2")
    assert collection.counts("train").tolist() == [6, 4, 4]
    assert collection.left_out == {tree.HIDDEN: 1}


def test_every_suffix_counts_in_any_case_and_the_rest_is_counted(top):
    (top / "c0" / "000.png").rename(top / "c0" / "000.PNG")
    Image.open(top / "c0" / "001.png").convert("L").save(top / "c0" / "001.pgm")
    (top / "c0" / "001.png").unlink()
    (top / "c0" / "notes.txt").touch()
    (top / "c1" / "README").touch()
    (top / "labels.csv").touch()
    (top / "c0" / "folder.png").mkdir()
    collection = read(top)
    assert collection.counts("train").tolist() == [6, 4, 4]
    assert collection.left_out == {".txt": 1, ".csv": 1, "files without an ending": 1}


def test_links_are_followed(top, tmp_path):
    expected = files(read(top))
    (top / "c0").rename(tmp_path / "real")
    (top / "c0").symlink_to(tmp_path / "real")
    assert files(read(top)) == expected
    (top / "c0").unlink()
    (top / "c0").mkdir()
    (top / "c0" / "part").symlink_to(tmp_path / "real")
    assert read(top).counts("train").tolist() == [6, 4, 4]


def test_some_images_behind_a_link_are_not_lost(top, tmp_path):
    (tmp_path / "real").mkdir()
    for name in ("003.png", "004.png", "005.png"):
        (top / "c0" / name).rename(tmp_path / "real" / name)
    (top / "c0" / "part").symlink_to(tmp_path / "real")
    assert read(top).counts("train").tolist() == [6, 4, 4]


def test_a_loop_ends(top):
    (top / "c0" / "loop").symlink_to(top)
    (top / "c1" / "self").symlink_to(top / "c1")
    collection = read(top)
    assert collection.counts("train").tolist() == [6, 4, 4]
    assert sum(collection.left_out.values()) == 2


@pytest.mark.parametrize("place", ["c1", "c0/part"])
def test_a_dead_link_is_named_and_no_label_shifts(top, place):
    if place == "c1":
        (top / "c1").rename(top.parent / "gone")
    (top / place).symlink_to("/nowhere/c1")
    with pytest.raises(EnvironmentError, match=rf"{place} is a link to /nowhere/c1, which is not"):
        read(top)


def test_a_name_that_is_no_text_is_read(top):
    os.rename(os.fsencode(top / "c0" / "000.png"), os.fsencode(top / "c0") + b"/caf\xe9.png")
    collection = read(top)
    assert collection.counts("train").tolist() == [6, 4, 4]
    named = np.array(collection.parts["train"].names)
    assert sum(os.path.exists(top / str(name)) for name in named) == 14


def test_an_empty_class_and_a_single_class_are_refused(top, tmp_path):
    (top / "c9").mkdir()
    with pytest.raises(InputError, match="class 'c9' has none"):
        read(top)
    alone = folder(tmp_path / "alone", {"one": 2})
    picture(alone / "beside.png")
    with pytest.raises(InputError, match="at least two, but has 1; 1 images lie in it outside"):
        read(alone)
    with pytest.raises(InputError, match="zzzz is none; name the root with --data"):
        read(tmp_path / "zzzz")
    with pytest.raises(InputError, match="alon is none; did you mean 'alone'; name the root"):
        read(tmp_path / "alon")
    (tmp_path / "photos").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"photos is a link to .*gone, which is not there; "):
        read(tmp_path / "photos")


def test_parts_have_the_classes_of_the_training_images(top, tmp_path):
    few = folder(tmp_path / "val", {"c2": 2})
    collection = tree.collection({"train": top, "validation": few})
    assert collection.counts("validation").tolist() == [0, 0, 2]
    other = folder(tmp_path / "test", {"c2": 1, "c3": 1})
    with pytest.raises(InputError, match="'c3' is in one of them only"):
        tree.collection({"train": top, "test": other})


def test_a_file_in_two_classes_or_parts_is_refused(top, tmp_path):
    (top / "c1" / "same.png").symlink_to(top / "c0" / "000.png")
    with pytest.raises(
        InputError, match=r"c0/000\.png is also c1/same\.png: class 'c0' and class 'c1'"
    ):
        read(top)
    (top / "c1" / "same.png").unlink()
    for part in ("val", "hard"):
        (tmp_path / part / "c0").mkdir(parents=True)
    (tmp_path / "val" / "c0" / "1.png").symlink_to(top / "c0" / "001.png")
    os.link(top / "c0" / "002.png", tmp_path / "hard" / "c0" / "2.png")
    for part in ("val", "hard"):
        with pytest.raises(InputError, match="for train and for test"):
            tree.collection({"train": top, "test": tmp_path / part})
