"""The lists of the reference, as they are written for Sphinx."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the group docs")
PATH = Path(__file__).parents[2] / "docs" / "_extensions" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["codes", "metrics", "published"])
def test_a_bar_in_a_cell_ends_no_cell(reference, name):
    lines = list(reference.Reference.lists[name]())
    for table in re.findall(r"(?:^\|.*\n)+", "\n".join([*lines, ""]), flags=re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1, table


def test_a_file_is_named_once_a_section_and_where_it_is_another(reference):
    lines = list(reference.profile())
    assert sum("Declared in" in line for line in lines) == 2
    study = "\n".join(reference.space()).partition("## The recipe's own keys")[0]
    assert study.count("raylt/space/plan.py") == 1
    assert "Declared in `raylt/space/strategy.py`." in study


def test_examples_of_a_help_are_a_block_of_code_with_its_continued_lines(reference):
    lines = ["What it does.", "| Examples:", "|   raylt a \\", "|     b=1", "|   raylt c", "More."]
    reference._examples(None, None, lines)
    assert lines == [
        "What it does.",
        "Examples:",
        "",
        ".. code-block:: shell",
        "",
        "   raylt a \\",
        "     b=1",
        "   raylt c",
        "",
        "More.",
    ]
