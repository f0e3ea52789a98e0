import json
import math

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
