"""What `raylt check` sees of the images of a space."""

import json
import shutil
import threading

import pytest

from raylt import cli, datasets
from raylt.data.reading import copies
from raylt.schema import EnvironmentError, InputError
from raylt.study.run.look import look
from tests.study.drive import toy
from tests.study.start import made


def own(folder, **changes):
    values = {"name": "folder", "images": "images", "validation": 2, "test": 1, **changes}
    return toy(folder, f"data={values}")


def test_images_of_the_users_own_are_counted_and_none_is_decoded(tmp_path):
    made.folder(tmp_path / "images", {"a": 8, "b": 6})
    (tmp_path / "images" / "a" / "9.png").write_text("no image")
    seen = look(own(tmp_path), tmp_path)
    assert seen.counts == {"train": [6, 3], "validation": [2, 2], "test": [1, 1]}
    assert sum(seen.counts["validation"]) == 4
    assert seen.lines() == [
        "images     train 9, validation 4, test 2",
        "           not looked at: what is in the files, of which none was decoded: "
        "a broken one still counts",
    ]


def test_a_group_without_classes_is_refused_as_a_search_refuses_it(tmp_path):
    made.folder(tmp_path / "images", {"a": 8, "b": 6})
    space = toy(
        tmp_path,
        "data={name: folder, images: images, validation: 2, test: 1}",
        "study.objective=val/many",
    )
    with pytest.raises(InputError, match=r"study\.objective: must be a group that has classes"):
        look(space, tmp_path)


def test_a_picture_that_several_parts_share_is_said(tmp_path, monkeypatch):
    made.folder(tmp_path / "images", {"a": 8, "b": 6})
    made.folder(tmp_path / "new", {"a": 2, "b": 2}, size=21)
    shutil.copy(tmp_path / "images" / "b" / "2.png", tmp_path / "new" / "b" / "again.png")
    space = own(tmp_path, test_images="new")
    assert look(space, tmp_path).lines()[-1].startswith("warning: 1 picture is in more than one")
    hold = threading.Event()
    monkeypatch.setattr(copies, "sentence", lambda *_: hold.wait(60))
    seen = look(space, tmp_path, patience=0.3)
    hold.set()
    assert seen.unseen.endswith("and whether parts share a picture")
    assert seen.counts["test"] == [2, 3]


def test_images_of_the_users_own_that_are_not_there_are_refused(tmp_path, capsys):
    space = own(tmp_path)
    with pytest.raises(InputError, match="must be a folder below the data root"):
        look(space, tmp_path)
    assert cli.run(["check", str(tmp_path / "space.yaml"), "--data", str(tmp_path)]) == 0
    capsys.readouterr()
    (tmp_path / "own.yaml").write_text(space.text)
    assert cli.run(["check", str(tmp_path / "own.yaml"), "--data", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "valid space" not in printed.out
    assert printed.err.startswith("error: data.images must be a folder below the data root")


def test_images_that_a_table_names_and_that_are_not_there_are_named(tmp_path):
    made.folder(tmp_path / "images", {"a": 8, "b": 6})
    rows = [f"{n}/{i}.png,{n}" for n, count in (("a", 8), ("b", 6)) for i in range(count)]
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "b/77.png,b"]))
    values = {"name": "table", "table": "labels.csv", "images": "images", "test": 1}
    space = toy(tmp_path, f"data={values | {'validation': 1}}")
    with pytest.raises(EnvironmentError, match=r"labels.csv:15 \(b/77.png\): it is not there"):
        look(space, tmp_path)


def test_too_few_images_of_a_class_are_refused(tmp_path):
    made.folder(tmp_path / "images", {"a": 8, "b": 2})
    with pytest.raises(InputError, match="class 'b' has 2"):
        look(own(tmp_path), tmp_path)


def test_a_published_dataset_that_was_not_fetched_is_said(tmp_path, capsys):
    words = ["bcl-cifar100-lt", "--data", str(tmp_path)]
    assert cli.run(["check", *words]) == 0
    printed = capsys.readouterr().out
    assert "images     train 9754, validation 5000" in printed
    assert "not here yet: cifar100 must be in" in printed
    assert f"`raylt data get cifar100 --data {tmp_path}`" in printed
    assert cli.run(["check", *words, "--json"]) == 0
    assert "not here yet" in json.loads(capsys.readouterr().out)["images"]["unseen"]
    assert cli.run(["check", "sdclr-imagenet100-lt", "--data", str(tmp_path)]) == 0
    assert "not here yet: the lists of imagenet100_lt" in capsys.readouterr().out


def test_images_that_take_long_to_find_are_not_waited_for(tmp_path, monkeypatch):
    hold = threading.Event()
    monkeypatch.setattr(datasets, "divided", lambda *_: hold.wait(60) and None)
    seen = look(own(tmp_path), tmp_path, patience=0.01)
    hold.set()
    assert seen.counts == {}
    assert seen.unseen == "the images, for it takes more than 0.01 s to find them all"


def test_few_validation_images_are_said_by_check(tmp_path, capsys):
    toy(tmp_path)
    path = str(tmp_path / "space.yaml")
    assert cli.run(["check", path, "--data", str(tmp_path), "data.validation=3"]) == 0
    assert "worth 3.3 points" in capsys.readouterr().out
