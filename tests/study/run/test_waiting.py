import io
import sys

import pytest

from raylt.study.run.waiting import waiting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Puts a person before both streams; returns the one of errors."""

    def watch():
        # pytest sets the streams anew after the fixtures.
        monkeypatch.setenv("TERM", "xterm")
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, Terminal())
        return sys.stderr

    return watch


def test_on_a_terminal_a_line_is_there_and_then_gone(terminal):
    errors = terminal()
    with waiting("starting Ray", brief=True):
        pass
    text = errors.getvalue()
    assert "starting Ray" in text
    assert not any(turn in text for turn in "|/\\")
    assert text.endswith("\x1b[2K")


def test_elsewhere_it_is_one_plain_line_unless_it_is_brief(capsys):
    with waiting("starting Ray"):
        pass
    with waiting("checking the space", brief=True):
        pass
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "starting Ray ...\n")


def test_quiet_says_nothing(terminal):
    errors = terminal()
    with waiting("starting Ray", quiet=True):
        pass
    assert errors.getvalue() == ""
