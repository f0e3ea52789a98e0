import importlib
import sys

import pytest

from raylt.plugins import outside
from raylt.schema import InputError


@pytest.fixture
def beside(tmp_path):
    """A folder in use, from which nothing is left afterwards."""
    outside.use(tmp_path)
    yield tmp_path
    outside.use(tmp_path / "nothing")


def test_a_module_is_imported_with_those_that_it_imports_and_nothing_else_is(beside):
    (beside / "first_mine.py").write_text("import second_mine\nVALUE = second_mine.VALUE\n")
    (beside / "second_mine.py").write_text("VALUE = 5\n")
    (beside / "third_mine.py").write_text("raise SystemExit\n")
    assert outside.file("first_mine") == beside / "first_mine.py"
    assert importlib.import_module("first_mine").VALUE == 5
    assert set(outside.sources()) == {"first_mine.py", "second_mine.py"}
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("third_mine")


def test_nothing_can_be_imported_from_a_folder_that_is_only_in_use(beside):
    (beside / "first_mine.py").write_text("VALUE = 5\n")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("first_mine")
    assert outside.sources() == {}


def test_a_file_does_not_replace_what_python_finds(beside):
    (beside / "mine.py").write_text("import numpy\nVALUE = numpy.array([1]).sum()\n")
    (beside / "numpy.py").write_text("raise SystemExit\n")
    outside.file("mine")
    assert importlib.import_module("mine").VALUE == 1
    assert set(outside.sources()) == {"mine.py"}


def test_two_modules_of_one_name_are_refused(beside):
    (beside / "numpy.py").write_text("")
    with pytest.raises(InputError, match=r"must name one module, but numpy is both .*rename one"):
        outside.file("numpy")


def test_a_package_goes_as_a_whole(beside):
    (beside / "pack_mine" / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/deep.py"):
        (beside / "pack_mine" / name).write_text("VALUE = 7\n")
    assert outside.file("pack_mine.inner.deep").name == "deep.py"
    assert importlib.import_module("pack_mine.inner.deep").VALUE == 7
    assert len(outside.sources()) == 3
    with pytest.raises(InputError, match="pack_mine has no lost"):
        outside.file("pack_mine.lost")


def test_what_is_not_there_is_told_with_both_places(beside):
    with pytest.raises(InputError, match=rf"on Python's path or in {beside}, but there is no nix"):
        outside.file("nix")


def test_a_change_is_seen_when_the_folder_is_used_again(beside):
    (beside / "mine.py").write_text("VALUE = 1\n")
    outside.file("mine")
    assert importlib.import_module("mine").VALUE == 1
    before = outside.generation()
    outside.use(beside)
    assert outside.generation() == before
    (beside / "mine.py").write_text("VALUE = 20\n")
    outside.use(beside)
    assert "mine" not in sys.modules
    outside.file("mine")
    assert importlib.import_module("mine").VALUE == 20


def test_copies_of_a_study_go_before_all_others(beside, monkeypatch):
    (beside / "here").mkdir()
    (beside / "here" / "mine.py").write_text("VALUE = 'edited since'\n")
    monkeypatch.syspath_prepend(beside / "here")
    outside.write({"mine.py": "VALUE = 'kept'\n"}, beside / "kept")
    outside.use(beside / "kept", kept=True)
    outside.file("mine")
    assert importlib.import_module("mine").VALUE == "kept"


def test_what_was_in_use_is_so_again_after_a_look_at_another_study(beside, tmp_path):
    (beside / "mine.py").write_text("VALUE = 5\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text("VALUE = 6\n")
    with outside.restored():
        outside.use(other, kept=True)
        assert outside.file("mine") == other / "mine.py"
    assert outside.file("mine") == beside / "mine.py"
