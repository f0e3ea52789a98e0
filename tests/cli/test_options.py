"""The settings as options of a verb, and which space and study are meant."""

import contextlib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from raylt import printed
from raylt.cli import options
from raylt.schema import InputError
from raylt.study.run import waiting
from tests.space.made import text


def verb(*decorators, **parameters):
    """A verb that keeps what it is called with."""
    seen = []

    def function(**values):
        seen.append(values)

    for decorator in decorators:
        function = decorator(function)
    return click.command(cls=options.Verb, **parameters)(function), seen


def called(command, words, **environment):
    return CliRunner(env=environment).invoke(command, words)


def test_a_verb_is_given_checked_settings():
    command, seen = verb()
    assert called(command, ["--runs", "here", "--workers", "2"]).exit_code == 0
    (values,) = seen
    assert list(values) == ["settings"]
    settings = values["settings"]
    assert (settings.runs, settings.workers, settings.quiet) == (Path("here"), 2, False)


def test_a_verb_that_can_be_sent_is_given_its_target():
    command, seen = verb(options.cluster_option)
    assert called(command, ["--runs", "here", "--cluster", "p.yaml"]).exit_code == 0
    target = seen[0]["target"]
    assert target.given["runs"] == Path("here")
    assert target.profile_file == Path("p.yaml")
    assert "workers" not in target.given


def test_the_command_line_goes_before_the_environment():
    command, seen = verb()
    for words in ([], ["--runs", "said"]):
        assert called(command, words, RAYLT_RUNS="meant").exit_code == 0
    assert [values["settings"].runs for values in seen] == [Path("meant"), Path("said")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--workers", "0"], "must be >= 1, but got '0'"),
        (["--workers", "two"], "must be a whole number, but got 'two'"),
        (["--pack", "some"], "must be auto or a whole number from 1, but got 'some'"),
        (["--runs", "a" * 300], "has 300 characters; name a shorter one"),
        (["--runs", "a/" * 3000], "has 6000 characters; name a shorter one"),
        (["--runs", "a\0b"], "must be a path, but got 'a\\x00b'"),
        (["--cluster", "a" * 300], "has 300 characters; name a shorter one"),
        (["--wrokers", "1"], "No such option '--wrokers'. Did you mean '--workers'?"),
    ],
)
def test_a_wrong_value_is_refused_beside_its_flag(words, complaint):
    command, seen = verb(options.cluster_option)
    refused = called(command, words)
    assert refused.exit_code == 2
    assert complaint in refused.output
    assert seen == []


def test_a_verb_takes_the_settings_that_are_listed_for_its_name(monkeypatch):
    monkeypatch.setitem(printed.TAKES, "look", ("runs", "data"))
    command, seen = verb(options.json_option, name="look")
    assert [option.name for option in command.settings] == ["runs", "data"]
    shown = called(command, ["--help"]).output
    # The settings stand before --json and --help.
    assert shown.index("--runs") < shown.index("--json") < shown.index("--help")
    assert "--workers" not in shown
    assert "[env var: RAYLT_RUNS; default: runs]" in " ".join(shown.split())
    assert called(command, ["--workers", "2"]).exit_code == 2
    assert seen == []


def test_settings_that_would_do_nothing_are_refused():
    @click.command(cls=options.Verb)
    @options.cluster_option
    @click.pass_context
    def check(context, target):
        options.require_none_given(context, unless="--measure")

    assert called(check, []).exit_code == 0
    assert called(check, [], RAYLT_RUNS="meant").exit_code == 0
    for words in (["--runs", "x"], ["--cluster", "p.yaml"]):
        refused = called(check, words)
        assert refused.exit_code == 2
        assert f"{words[0]} does nothing without --measure" in refused.output


@pytest.fixture
def file(tmp_path):
    (tmp_path / "space.yaml").write_text(text({}, {"method.prune": {"low": 0.5, "high": 0.9}}))
    return str(tmp_path / "space.yaml")


def test_a_space_is_an_option_or_the_first_word(file):
    for given, words in ((file, ["epochs=3"]), (None, [file, "epochs=3"])):
        space = options.load_space(given, words, ["study.trials=7"])
        assert (space.study.trials, space.known["epochs"]) == (7, 3)


def test_what_is_odd_about_a_space_is_a_warning_on_the_error_stream(file, capsys):
    options.load_space(file, ["method.prune={low: 0.7, high: 0.7}"], [])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("warning: ")
    assert "method.prune: can only be 0.7" in shown.err


def test_a_warning_waits_until_the_line_of_what_is_waited_for_is_gone(file, capsys, monkeypatch):
    @contextlib.contextmanager
    def line(*_, **__):
        yield
        click.echo("the line is gone", err=True)

    monkeypatch.setattr(waiting, "waiting", line)
    options.load_space(file, ["method.prune={low: 0.7, high: 0.7}"], [])
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == "the line is gone"
    assert second.startswith("warning: ")


@pytest.mark.parametrize("words", [[], ["epochs=3"]])
def test_a_space_must_be_named(words):
    @click.command()
    def check():
        options.load_space(None, words, [])

    refused = called(check, [])
    assert refused.exit_code == 2
    assert "a space file must be named, but none is" in refused.output


def test_a_study_is_called_like_a_folder():
    assert options.study_name("my-study") == "my-study"
    with pytest.raises(InputError, match=r"STUDY: must be 1 to 100 letters.* example 'a-b'"):
        options.study_name("a/b")
