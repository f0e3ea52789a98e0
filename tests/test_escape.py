import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt import cli, escape

HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b1m \u202ereversed \r over"


def is_safe(text):
    return not any(letter < " " and letter not in "\n\t" for letter in text) and not (
        set(text) & {"\x7f", "\x9b", "\u202e", "\u2028"}
    )


@given(st.text() | st.just(HOSTILE))
def test_no_control_character_reaches_a_terminal(text):
    shown = escape.terminal(text)
    assert is_safe(shown)
    assert escape.terminal(shown) == shown


def test_rich_keeps_its_own_colours_and_escapes_those_of_a_text():
    out = io.StringIO()
    console = escape.console(file=out, force_terminal=True, width=200, color_system="standard")
    console.print("[red]x[/red]", HOSTILE, highlight=False)
    assert "\x1b[31mx" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()
    assert "\\x1b[2J" in out.getvalue()


def test_what_is_logged_is_safe():
    record = logging.LogRecord("raylt", logging.WARNING, "", 0, "%s", (HOSTILE,), None)
    assert is_safe(escape.Formatter().format(record))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jiang et al. 2021, CIFAR-100", "Jiang et al. 2021, CIFAR-100"),
        ("<script>x & y</script>", "&lt;script&gt;x &amp; y&lt;/script&gt;"),
        ("a | b\n# title", "a \\| b \\# title"),
        ("![x](http://evil)", "\\!\\[x\\](http://evil)"),
        ("a\x1bb", "a\\\\x1bb"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text, shown):
    assert escape.markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("raylt tune", "`raylt tune`"), ("a `b` ``c", "``` a `b` ``c ```")]
)
def test_code_ends_where_the_text_ends(text, shown):
    assert escape.code(text) == shown


@pytest.mark.parametrize(
    "line",
    [
        'study: {name: toy, baseline: {source: "HERE", values: {method.prune: 7}}}',
        'study: {"HERE": 1}',
        'study: {name: "HERE"}',
        '"HERE": 1',
    ],
)
@pytest.mark.parametrize("verb", ["check", "tune"])
def test_an_escape_sequence_in_a_space_file_is_shown(verb, line, tmp_path, capsys):
    file = tmp_path / "space.yaml"
    recipe = (
        "recipe: {data: {name: digits}, method: {name: sdclr, prune: {low: 0.1, high: 0.9}}, "
        "encoder: small, optimizer: {lr: 0.5, batch_size: 64}, epochs: 2}"
    )
    file.write_text(line.replace("HERE", r"\e[2J\e]0;t\a\r") + "\n" + recipe + "\n")
    assert (
        cli.run(
            [verb, str(file), "--runs", str(tmp_path)] if verb == "tune" else [verb, str(file)]
        )
        == 2
    )
    assert is_safe("".join(capsys.readouterr()))


def test_a_table_shows_what_others_wrote_and_takes_the_colours_of_its_page():
    page = escape.html_table("<b>", ("a & b",), [("<script>x</script>",)])
    assert "<b>&lt;b&gt;</b>" in page
    assert "a &amp; b" in page
    assert "<script" not in page
    assert "color:inherit" in page
    assert "#" not in page
