"""Every command that is printed runs as pasted, from the folder in which it was printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from raylt import cli, printed
from raylt.settings import Settings, load, merged
from raylt.study.record import provenance
from raylt.study.report import best, findings, status
from raylt.study.run import driver
from tests.study import made
from tests.study.report.made import text_of

COMMAND = re.compile(r"raylt [a-z]+(?: (?:'[^']*'|[^\s`']+))*")


def parsed(command: str) -> click.Context:
    """The context of the verb, with its parameters; a mistake raises."""
    words = shlex.split(command)
    assert words[0] == "raylt"
    group = cli.commands.make_context("raylt", words[1:2])
    verb = cli.commands.get_command(group, words[1])
    assert verb is not None
    return verb.make_context(words[1], words[2:], parent=group)


def given(command: str) -> dict[str, Any]:
    """What the options of a command say that is not the default."""
    context = parsed(command)
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that have nothing in common with the defaults."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("my profile.yaml").write_text("trial: {cpus_per_worker: 1, gpus_per_worker: 0}\n")
    words = {
        "runs": Path("my runs"),
        "data": tmp_path / "images",
        "tracking_uri": "http://me:secret@mlflow:5000",
        "concurrent": 2,
        "tracking_optional": True,
        "profile": Path("my profile.yaml"),
    }
    return merged(words, load("my profile.yaml"))


def test_what_is_default_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed.command("resume", ["toy"], Settings()) == "raylt resume toy"
    settings = Settings(runs=tmp_path / "runs", data=tmp_path / "other" / "data")
    assert printed.command("resume", ["toy"], settings) == "raylt resume toy --data other/data"
    assert printed.command("best", ["toy"], settings) == "raylt best toy"


def test_a_command_carries_what_its_verb_takes(elsewhere: Settings, tmp_path: Path) -> None:
    assert given(printed.command("resume", ["toy"], elsewhere)) == {
        "study": "toy",
        "cluster": Path("my profile.yaml"),
        "runs": Path("my runs"),
        "data": tmp_path / "images",
        "tracking_uri": "http://mlflow:5000",
        "concurrent": 2,
        "tracking_optional": True,
    }
    assert given(printed.command("best", ["toy"], elsewhere)) == {
        "study": "toy",
        "runs": Path("my runs"),
    }


def test_a_profile_says_what_it_says_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("runs: /shared/runs\ntrial: {workers: 2}\n")
    settings = merged({"profile": Path("p.yaml")}, load("p.yaml"))
    assert printed.command("confirm", ["toy"], settings) == "raylt confirm toy --cluster p.yaml"
    # A verb without --cluster is told where the runs are.
    assert printed.command("ui", [], settings) == "raylt ui --runs /shared/runs"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db"),
    ],
)
def test_a_password_is_never_printed(url: str, shown: str) -> None:
    settings = Settings(storage=url)
    assert given(printed.command("best", ["toy"], settings))["storage"] == shown
    assert "secret" not in str(printed.kept(settings))


@pytest.fixture
def record(elsewhere: Settings) -> Any:
    """A study that was searched with those settings."""
    result = made.study(elsewhere.runs, name="toy")
    provenance.note(result, elsewhere)
    yield result
    result.close()


def test_a_study_remembers_its_settings(
    record: Any, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = provenance.command(record, "resume", "toy")
    assert given(here) == given(printed.command("resume", ["toy"], elsewhere))
    # From another folder the paths are others.
    monkeypatch.chdir(tmp_path)
    record.folder = Path("here/my runs/toy")
    there = given(provenance.command(record, "resume", "toy"))
    assert there["runs"] == Path("here/my runs")
    assert there["cluster"] == Path("here/my profile.yaml")
    assert there["data"] == Path("images")


def test_a_study_finds_its_data_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main" / "data").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "main")
    study = made.study(tmp_path / "main" / "runs", name="toy")
    provenance.note(study, Settings())
    assert provenance.command(study, "train") == "raylt train"
    monkeypatch.chdir(tmp_path / "other")
    root = tmp_path / "main" / "data"
    assert given(provenance.command(study, "train", "-s", "x"))["data"] == root
    assert provenance.with_data(study, Settings()).data == root
    # What is given goes before what is remembered.
    assert provenance.with_data(study, Settings(data=Path("mine"))).data == Path("mine")
    said = Settings(data=Path("data"), given=("data",))
    assert provenance.with_data(study, said).data == Path("data")
    root.rmdir()
    assert provenance.with_data(study, Settings()).data == Path("data")
    study.close()


def test_all_that_is_printed_about_a_study_can_be_pasted(
    record: Any, elsewhere: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    state = status.study("toy", elsewhere.runs)
    texts = [
        *driver.next_commands(record).values(),
        best.best_text(record),
        text_of(status.study_parts({**state, "state": "unfinished"})),
        *findings.sentences(record),
    ]
    computed = [command for text in texts for command in COMMAND.findall(text)]
    computed = [command for command in computed if command.split()[1] in cli.commands.commands]
    verbs = {command.split()[1] for command in computed}
    assert verbs >= {"best", "confirm", "ui", "resume", "train", "logs"}
    for command in computed:
        values = given(command)
        assert values["runs"] == Path("my runs"), command
        takes = printed.TAKES.get(command.split()[1])
        if takes is None:
            assert values["data"] == elsewhere.data, command
            assert values["cluster"] == Path("my profile.yaml"), command
    # Those that only read are run.
    for command in computed:
        if command.split()[1] in ("best", "logs"):
            assert cli.run(shlex.split(command)[1:]) == 0, command
    capsys.readouterr()


def test_a_study_of_before_has_only_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = made.study(tmp_path / "r", name="toy")
    assert provenance.command(result, "resume", "toy") == "raylt resume toy --runs r"
    result.close()


def test_under_uv_run_commands_begin_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert printed.command("resume", ["toy"], Settings()) == "uv run raylt resume toy"


def test_what_a_job_prints_runs_where_it_was_sent_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("runs: /shared/runs\ntrial: {workers: 2}\n")
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    here = merged({"profile": profile, "address": "http://head:8265"}, load(profile))
    monkeypatch.setenv(printed.SENDER, printed.sender(here))
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH")
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")
    Path("profile.yaml").write_bytes(profile.read_bytes())
    there = merged({"profile": Path("profile.yaml"), "address": "auto"}, load("profile.yaml"))
    again = f"uv run raylt resume toy --cluster {profile} --address http://head:8265"
    assert printed.command("resume", ["toy"], there) == again
    # So it does for whoever reads the study later.
    kept = Settings.model_validate({**printed.kept(there), "runs": there.runs})
    monkeypatch.delenv(printed.SENDER)
    assert f"uv run {printed.command('resume', ['toy'], kept)}".startswith(again)


def test_a_built_in_profile_is_found_by_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Settings(profile=Path("laptop"), address="http://head:8265")
    monkeypatch.setenv(printed.SENDER, printed.sender(here))
    assert Path(given(printed.command("resume", ["toy"], here))["cluster"]).is_file()


def test_the_paths_of_a_cluster_are_whole_wherever_the_command_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(address="http://head:8265", runs=tmp_path / "runs")
    again = f"raylt resume toy --address http://head:8265 --runs {tmp_path / 'runs'}"
    assert printed.command("resume", ["toy"], settings) == again
