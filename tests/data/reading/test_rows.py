import os

import pytest

from raylt.data.reading import rows
from raylt.data.reading.rows import Columns
from raylt.schema import InputError

PLAIN = ["a/0.png 0", "a/1.png 1"]
READ = [("a/0.png", "0", ""), ("a/1.png", "1", "")]


def read(tmp_path, content, name="list.txt", columns=Columns()):  # noqa: B008
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(row.path, row.label, row.split) for row in rows.read(path, columns)]


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(PLAIN),
        "\r\n".join([*PLAIN, ""]),
        b"\xef\xbb\xbf" + "\n".join(PLAIN).encode(),
        "\n".join(PLAIN).encode("utf-16"),
        "\n".join(PLAIN).encode("utf-32"),
        "\n".join(f"{line}   " for line in PLAIN),
        "\n".join(line.replace(" ", "\t") for line in PLAIN),
        "\n".join(line.replace(" ", ",") for line in PLAIN),
        "\n".join(line.replace(" ", ", ") for line in PLAIN),
        "\n".join(line.replace(" ", ";") for line in PLAIN),
        "\n".join(["# made by me", *PLAIN, "", "#"]),
        "\n".join(["path label", *PLAIN]),
        "\n".join(["label,image,more", "0,a/0.png,x", "1,a/1.png,y"]),
        "\n".join(["sep=;", "Path;Class", "a/0.png;0", "a/1.png;1"]),
    ],
)
def test_lists_are_read_where_their_meaning_is_clear(tmp_path, content):
    assert read(tmp_path, content) == READ


def test_a_path_may_hold_blanks_commas_and_a_hash(tmp_path):
    content = "#1 of 2/a, b.png 0\nc d.png 1\n"
    assert read(tmp_path, content) == [("#1 of 2/a, b.png", "0", ""), ("c d.png", "1", "")]


def test_a_table_has_columns(tmp_path):
    content = 'split,label,file\ntrain,"cat, big",a.png\nval,NA,b.png\n'
    wanted = [("a.png", "cat, big", "train"), ("b.png", "NA", "val")]
    assert read(tmp_path, content, "t.csv") == wanted
    assert read(tmp_path, "a.png,cat,train\nb.png,dog,test\n", "t.csv") == [
        ("a.png", "cat", "train"),
        ("b.png", "dog", "test"),
    ]


def test_columns_may_be_named(tmp_path):
    content = "id,photo,dx,label\n1,a.png,nv,9\n"
    columns = Columns(path="photo", label="dx")
    assert read(tmp_path, content, "t.csv", columns) == [("a.png", "nv", "")]
    with pytest.raises(InputError, match=r"t\.csv:1: .* 'foto' of data.path_column, .*'photo'"):
        read(tmp_path, content, "t.csv", Columns(path="foto"))
    with pytest.raises(InputError, match=r"column for the path.*name it by data\.path_column"):
        read(tmp_path, content, "t.csv", Columns(label="dx"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a/0.png 0\na/1.p",
            r"list\.txt:2: the row must have a path and a label, but is 'a/1\.p'",
        ),
        ("a/0.png\n", r"list\.txt:1: the first row must be `path,label`, but is 'a/0\.png'"),
        (
            "a.png,0\nb.png,\n",
            r"list\.txt:2: the row must have a path and a label, but is 'b\.png,'",
        ),
        ("a.png,0\nb.png,1,2\n", r"list\.txt:2: the row must have a path and a label"),
        ("a.png " + "1" * 5000, r"list\.txt:1: the label must have at most 255 characters"),
        ("\n\n", r"list\.txt is empty"),
        ("path,label\n", "has its heads only"),
        (b"a\0.\0p\0", "holds zero bytes; save it as UTF-8"),
        (b"a.png 0\ncaf\xe9.png 1\n", "line 2 is no utf-8: 0xe9; save it as UTF-8"),
        ('a.png,"0\n', "must be readable as columns"),
    ],
)
def test_a_wrong_line_is_shown(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "no regular file"),
        (tmp_path / "no", "no such file"),
    ):
        with pytest.raises(InputError, match=reason):
            rows.read(path)
