import pytest

from raylt.data.reading import table
from raylt.data.reading.rows import Columns
from raylt.schema import EnvironmentError, InputError
from tests.data.reading.made import picture


@pytest.fixture
def root(tmp_path):
    for name in "abcdef":
        picture(tmp_path / "photos" / "in" / f"{name}.png", seed=ord(name))
    return tmp_path


def read(root, *lines, **others):
    (root / "list.csv").write_text("\n".join(lines))
    tables = {"train": root / "list.csv"}
    for part, content in others.items():
        tables[part] = root / f"{part}.csv"
        tables[part].write_text("\n".join(content))
    return table.collection(tables, root / "photos", Columns())


def test_names_and_numbers_have_their_order(root):
    assert read(root, "in/a.png,dog", "in/b.png,10", "in/c.png,Cat").classes == (
        "10",
        "Cat",
        "dog",
    )
    collection = read(root, "in/a.png,10", "in/b.png,2", "in/c.png,1")
    assert (collection.classes, collection.parts["train"].labels) == (("1", "2", "10"), [2, 1, 0])


def test_paths_are_read_however_they_are_spelled(root):
    absolute = root / "photos" / "in" / "d.png"
    lines = ["./in/a.png,x", "in//b.png,y", "in/../in/c.png,x", f"{absolute},y"]
    assert read(root, *lines).parts["train"].names == [f"in/{name}.png" for name in "abcd"]
    windows = read(root, "in\\a.png,x", "in\\b.png,y")
    assert windows.parts["train"].names == ["in/a.png", "in/b.png"]


@pytest.mark.parametrize("path", ["../list.csv", "/etc/passwd", "in/../../list.csv"])
def test_a_path_does_not_lead_out_of_the_folder(root, path):
    with pytest.raises(InputError, match=r"list\.csv:2: the path must lie below .*photos"):
        read(root, "in/a.png,x", f"{path},y")


@pytest.mark.parametrize("label", ["-1", "1.0", "1e3", "⁹", "٣"])
def test_a_number_that_is_no_class_is_refused(root, label):
    with pytest.raises(InputError, match=rf"list\.csv:2: .*whole number from 0, but is '{label}'"):
        read(root, "in/a.png,0", f"in/b.png,{label}")


def test_one_number_has_one_spelling(root):
    with pytest.raises(InputError, match=r"list\.csv:2: the label must be '01', as in other rows"):
        read(root, "in/a.png,01", "in/b.png,1")


def test_a_split_divides_the_table(root):
    head, rows = "path,label,split", ["in/a.png,x,train", "in/b.png,y,Training", "in/c.png,x,val"]
    collection = read(root, head, *rows, "in/d.png,y,test")
    assert {name: part.names for name, part in collection.parts.items()} == {
        "train": ["in/a.png", "in/b.png"],
        "validation": ["in/c.png"],
        "test": ["in/d.png"],
    }
    with pytest.raises(
        InputError, match=r"list\.csv:5: the split must be one of train, .*'holdout'"
    ):
        read(root, head, *rows, "in/d.png,y,holdout")
    with pytest.raises(InputError, match=r"is for validation, but data\.validation_table names"):
        read(root, head, *rows, validation=["in/e.png,x"])


def test_a_class_without_training_images_is_refused(root):
    with pytest.raises(InputError, match=r"test\.csv:1: class 'z' has no training images"):
        read(root, "in/a.png,x", "in/b.png,y", test=["in/c.png,z"])
    with pytest.raises(InputError, match="two classes at least, but has those of 1"):
        read(root, "in/a.png,x", "in/b.png,x")


def test_all_wrong_rows_are_told_at_once(root):
    head = "path,label,split"
    lines = ["in/a.png,x,train", "in/b.png,y,train", ",x,train", "in/c.png,x,holdout"]
    lines += ["../d.png,y,train", "in/d.png,z,val", "in/e.png,x,train,more"]
    with pytest.raises(InputError) as caught:
        read(root, head, *lines)
    first, *heard = str(caught.value).splitlines()
    assert first == "5 rows must be corrected:"
    table = root / "list.csv"
    assert sorted(line.split()[0] for line in heard) == [f"{table}:{n}:" for n in range(4, 9)]
    many = [f"in/{n}.png," for n in range(30)]
    with pytest.raises(InputError, match=r"(?s)^30 rows .*\n  and 10 more$"):
        read(root, "in/a.png,x", "in/b.png,y", *many)


def test_a_file_that_is_named_twice_is_refused(root):
    with pytest.raises(InputError, match=r"list\.csv:1 \(in/a.png\) is also .*list\.csv:3 \(in/a"):
        read(root, "in/a.png,x", "in/b.png,y", "in/a.png,x")
    with pytest.raises(InputError, match="class 'x' and class 'y'"):
        read(root, "in/a.png,x", "./in/a.png,y")
    with pytest.raises(InputError, match="for train and for validation"):
        read(root, "in/a.png,x", "in/b.png,y", validation=["./in/a.png,x"])


def test_what_is_missing_is_listed(root):
    collection = read(root, "in/a.png,x", "in/b.png,y", "in/z.png,y")
    assert collection.missing == {"in/z.png": f"{root / 'list.csv'}:3 (in/z.png)"}
    assert collection.counts("train").tolist() == [1, 1]
    with pytest.raises(
        EnvironmentError, match=r"none of 2 does, .*set data\.images to the folder"
    ):
        read(root, "photos/in/a.png,x", "photos/in/b.png,y")
