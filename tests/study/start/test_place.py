"""Images that lie anywhere are found below the data root."""

from __future__ import annotations

from pathlib import Path

import pytest

from raylt import cli
from raylt.datasets import table
from raylt.study.start import place
from tests.study.start.made import folder

ROWS = [f"{n}/{i}.png,{n}" for n, count in (("ant", 9), ("bee", 7)) for i in range(count)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.yaml", "looks like a space file; look at it with `raylt check mine.yaml`"),
        ("cat.jpg", "is one image; name the folder that holds a folder for each class"),
        ("photos.zip", "is an archive; unpack it, and name the folder"),
    ],
)
def test_what_was_given_and_what_is_wanted_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    (here / name).write_bytes(b"\0\1")
    assert cli.run(["init", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: SOURCE must be a folder or a table, but ")
    assert message in error
    assert "--force" not in error
    assert [path.name for path in here.iterdir()] == [name]


@pytest.mark.parametrize("inner", ["pictures/", ""])
def test_a_table_in_the_working_folder_is_linked_without_a_loop(here: Path, inner: str) -> None:
    folder(here / inner, {"ant": 9, "bee": 7})
    (here / "labels.csv").write_text("\n".join(["path,label", *ROWS]))
    with place.found(here / "labels.csv", here / "data") as (survey, links):
        assert survey.counts == {"train": (9, 7)}
    seen = table.Config(**{key: value for key, value in survey.data.items() if key != "name"})
    assert table.collection(seen, here / "data").counts("train").tolist() == [9, 7]
    assert {path.name for path in links} == {path.name for path in (here / "data").iterdir()}
    names = {"pictures", "labels.csv"} if inner else {"ant", "bee", "labels.csv"}
    assert {path.name for path in (here / "data").iterdir()} == names
    assert all(here.resolve() != path.resolve() for path in (here / "data").iterdir())


def test_images_beside_the_data_root_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(here / "set", {"a": 5, "b": 5})
    for name in ("a", "b"):
        for path in (here / "set" / name).iterdir():
            path.rename(here / f"{name}{path.name}")
    rows = [f"{name}{i}.png,{name}" for name in "ab" for i in range(5)]
    (here / "labels.csv").write_text("\n".join(rows))
    assert cli.run(["init", "labels.csv"]) == 2
    assert "'a0.png' lies beside the data root" in capsys.readouterr().err
    assert not (here / "data").exists()
