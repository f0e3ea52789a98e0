"""The pictures of the documentation are drawn by raylt's functions as they are today."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.blocks import ROOT

FOLDER = ROOT / "docs" / "pictures"
LARGEST = 200_000


@pytest.fixture
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["tails", "prototypes", "absent", "levels"])
def test_a_picture_that_needs_no_study_is_drawn(
    name: str, make: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(make, "HERE", tmp_path)
    make.main(tmp_path, [name])
    assert (tmp_path / f"{name}.svg").read_text("utf-8").count("<path") > 5


def test_each_picture_is_there_and_small(make: ModuleType) -> None:
    for picture in make.PICTURES:
        assert (FOLDER / f"{picture.__name__}.svg").stat().st_size < LARGEST


def test_each_picture_is_shown_on_a_page(make: ModuleType) -> None:
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md"))
    for picture in make.PICTURES:
        assert f"pictures/{picture.__name__}.svg" in pages
