import json
import math
import sys

import pytest

from raylt.cli import output


def test_json_has_no_nan_and_no_infinity(capsys):
    output.print_json({"a": [1.5, math.nan], "b": {"c": (math.inf, -math.inf, None)}})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"a": [1.5, None], "b": {"c": [None, None, None]}}


def test_what_is_no_json_is_written_as_text(capsys, tmp_path):
    output.print_json({"folder": tmp_path})
    assert json.loads(capsys.readouterr().out) == {"folder": str(tmp_path)}


@pytest.mark.parametrize("err", [False, True])
def test_a_terminal_is_shown_what_it_would_obey(capsys, err):
    output.echo("a \x1b[31mred\x1b[0m name", err=err)
    shown = capsys.readouterr()
    assert (shown.err if err else shown.out) == "a \\x1b[31mred\\x1b[0m name\n"


LINE = "baseline   Kang et al., Decoupling Representation and Classifier, ICLR 2020, their setting"


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (LINE, [LINE[:76], " " * 11 + LINE[77:]]),
        ("  " + "word " * 20, ["  " + ("word " * 15).strip(), "    " + ("word " * 5).strip()]),
        ("x " * 30 + "run `raylt data get it`, or not", None),
        ("y" * 90, ["y" * 90]),
        ("Next: raylt tune --space " + "a " * 40, ["Next: raylt tune --space " + "a " * 40]),
    ],
)
def test_a_long_line_is_broken_between_words_and_in_no_command(line, lines):
    shown = output.fitted(line, 80).splitlines()
    assert shown == (lines or [("x " * 30 + "run").strip(), "  `raylt data get it`, or not"])


def test_a_line_is_as_wide_as_the_terminal_and_whole_in_a_file(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    output.tell(LINE)
    assert capsys.readouterr().out == f"{LINE}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.tell(LINE)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()) == " ".join(LINE.split())


def test_a_sentence_with_a_command_is_broken_beside_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.show("It is not finished, and about 15 runs are left; go on with `raylt confirm toy`")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert any("`raylt confirm toy`" in line for line in lines)
