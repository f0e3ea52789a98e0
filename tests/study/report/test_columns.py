import io
from dataclasses import replace

import pytest
from rich.console import Console

from raylt.study.report.columns import Column, Columns, fitting

COLUMNS = [
    Column(head="trial", cells=["10", "2*"]),
    Column(head="complement_weight", cells=["0.5", "0.04286"], rank=1),
    Column(head="time", cells=["1m01s", "2.0s"], rank=2),
    Column(head="failure", cells=["no image of the class", ""], right=False, wraps=True),
]


def shown(width, columns=COLUMNS, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(Columns(columns))
    return console.file.getvalue()


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_a_wide_terminal_shows_every_column():
    text = shown(100)
    assert ["complement_"] in rows(text)
    assert ["10", "0.5", "1m01s", "no", "image", "of", "the", "class"] in rows(text)
    assert ["2*", "0.04286", "2.0s"] in rows(text)
    assert "no room" not in text


def test_a_long_text_has_several_lines_where_no_screen_ends_it():
    cells = ["a leaf must not be opened or closed, for its trials could not be compared", "b"]
    text = shown(1000, [*COLUMNS, Column(head="because", cells=cells, right=False, wraps=True)])
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize(("width", "hidden"), [(45, "time"), (34, "complement_weight, time")])
def test_a_narrow_one_leaves_out_what_matters_least_and_says_so(width, hidden):
    text = shown(width)
    assert f"no room for: {hidden}" in " ".join(text.split())
    assert "no image of the class" in " ".join(text.split())


def test_no_word_is_broken_at_any_width():
    words = {"trial", "complement_", "weight", "time", "failure", "10", "2*", "0.5", "0.04286"}
    words |= {"1m01s", "2.0s", "no", "image", "of", "the", "class"}
    for width in range(34, 90):
        table = shown(width).partition("no room for")[0]
        assert {word for word in table.split() if "─" not in word} <= words


def test_what_fits_is_chosen_by_rank_and_stands_in_its_place():
    assert [column.head for column in fitting(COLUMNS, 44)] == [
        "trial",
        "complement_weight",
        "failure",
    ]
    assert [column.head for column in fitting(COLUMNS, 1)] == ["trial", "failure"]


def test_control_characters_of_a_cell_are_shown_and_counted():
    text = shown(60, [Column(head="name", cells=["a\x1b[31mb"])])
    assert "a\\x1b[31mb" in text
    assert "\x1b" not in text


def test_a_column_of_dashes_goes_first_whatever_its_rank():
    columns = [replace(COLUMNS[1], cells=["-", "-"]), COLUMNS[2]]
    assert fitting(columns, 12) == [COLUMNS[2]]
    narrow = replace(columns[0], head="many")
    assert fitting([narrow, COLUMNS[1], COLUMNS[2]], 13) == [COLUMNS[1]]
    assert fitting(columns, 30) == columns
