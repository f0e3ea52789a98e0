from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from raylt import cli
from raylt.schema import EnvironmentError, InputError
from raylt.space import Space, overview
from raylt.space.file import document
from raylt.study.record.outcome import Outcome

SPACES = Path(__file__).parents[2] / "search_spaces"
SDCLR = str(SPACES / "sdclr.yaml")
VERBS = list(cli.commands.commands)
HEAVY = {
    "pooch",
    "torch",
    "torchvision",
    "ray",
    "optuna",
    "mlflow",
    "sklearn",
    "scipy",
    "matplotlib",
}


def program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The program as a user starts it."""
    return subprocess.run(
        [sys.executable, "-m", "raylt", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def imported(*arguments: str) -> set[str]:
    """The packages that a command imports."""
    code = (
        "import sys; from raylt import cli; assert cli.run(sys.argv[1:]) == 0; "
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ended.stderr.splitlines()[-1].split())


def test_help_imports_next_to_nothing() -> None:
    modules = imported("--help")
    assert "click" in modules
    assert not modules & (HEAVY | {"pydantic", "numpy", "rich", "ruamel"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", SDCLR],
        ["check", "--json", SDCLR],
        ["check", "--schema"],
        ["check", "--schema", "profile"],
    ],
)
def test_check_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = imported(*arguments)
    assert "pydantic" in modules
    assert not modules & HEAVY


def test_the_program_shows_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    assert cli.run([]) == 0
    shown = capsys.readouterr().out
    for verb in ("tune", "train", "check", "resume", "best", "status", "ui"):
        assert shown.count(f"\n  {verb} ") == 2
    assert "raylt tune --space sdclr" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert f"\n    raylt {verb}" in shown


def test_no_summary_of_a_verb_is_cut_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run(["--help"]) == 0
    summaries = capsys.readouterr().out.partition("Commands:")[2]
    assert summaries.count("\n") == len(VERBS) + 1
    for group in ("data", "space"):
        assert cli.run([group, "--help"]) == 0
        summaries += capsys.readouterr().out.partition("Commands:")[2]
    assert "..." not in summaries


@pytest.mark.parametrize("words", [[], ["tune"], ["space", "diff"]])
def test_help_of_a_verb_is_what_its_option_shows(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words, "--help"]) == 0
    by_option = capsys.readouterr().out
    assert cli.run(["help", *words]) == 0
    assert capsys.readouterr().out == by_option


def test_help_knows_what_is_no_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", "tnue"]) == 2
    assert "but got 'tnue'; did you mean 'tune'?" in capsys.readouterr().err


def test_help_of_a_metric_is_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", "val/few"]) == 0
    assert capsys.readouterr().out == (
        "val/few (metric of each epoch)\n"
        "  the same as val/accuracy over classes with fewer than 20 training images (fraction)\n"
    )
    assert cli.run(["help", "val/best/few"]) == 0
    assert "the epoch with the best val/accuracy so far" in capsys.readouterr().out
    assert cli.run(["help", "val/fewww"]) == 2
    assert (
        "must be a verb, a key such as method.temperature, a metric such as val/few, or a method"
        in (error := capsys.readouterr().err)
    )
    assert error.endswith("did you mean 'val/few'?\n")


def test_help_explains_every_column_of_a_trial(capsys: pytest.CaptureFixture[str]) -> None:
    names = [field.name for field in dataclasses.fields(Outcome)]
    shown = ["lr", "epochs", "attempt", "rank", "cpu_hours", "version.torch", "git.commit"]
    for name in {*names, *shown} - {"number", "best", "last", "recipe"}:
        assert cli.run(["help", name]) == 0, name
        assert "of each " in capsys.readouterr().out, name
    assert cli.run(["help", "epochs"]) == 0
    assert capsys.readouterr().out.startswith("epochs (space file)")
    assert cli.run(["help", "secnds"]) == 2
    assert "did you mean 'seconds'?" in capsys.readouterr().err


def test_help_of_a_key_is_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", "method.prune"]) == 0
    out = capsys.readouterr().out
    assert "number, at least 0 and less than 1, default 0.9" in out
    assert cli.run(["help", "method.pruen"]) == 2
    assert "did you mean 'method.prune'?" in capsys.readouterr().err
    assert cli.run(["help", "tune", "trials"]) == 2
    assert "error: raylt tune has no verbs of its own" in capsys.readouterr().err


def test_help_of_a_method_is_all_of_its_own_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", "paco"]) == 0
    out = capsys.readouterr().out
    sentence = "paco (method): PaCo: supervised contrast with a learned centre for each class"
    assert out.startswith(sentence)
    assert "(Cui et al., ICCV 2021)" in out
    assert "method.query_view (space file, with paco)" in out
    assert "method.prune" not in out
    assert cli.run(["help", "pacco"]) == 2
    assert "did you mean 'paco'?" in capsys.readouterr().err


def test_help_says_what_a_plug_in_without_keys_of_its_own_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["help", "grid"]) == 0
    assert capsys.readouterr().out.startswith("grid (sampler): All combinations,")


@pytest.mark.parametrize(
    ("word", "near"),
    [("studdy", "'study'"), ("smplers", "'sampler'"), ("acuracy", "'val/accuracy'"), ("foo", "")],
)
def test_help_offers_only_what_is_like_the_word(
    word: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["help", word]) == 2
    error = capsys.readouterr().err
    offered = f"did you mean {near}?\n" if near else "`raylt help` lists the verbs, "
    assert f"but got '{word}'; {offered}" in error


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        ("method paco", "paco"),
        ("method temperature", "method.temperature"),
        ("tune trials", "trials"),
    ],
)
def test_help_of_several_words_says_which_to_type(
    words: str, instead: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["help", *words.split()]) == 2
    assert f"; type `raylt help {instead}`; see" in capsys.readouterr().err
    assert cli.run(["help", instead]) == 0


def test_a_misspelt_verb_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["tnue", "x.yaml"]) == 2
    assert "error: unknown verb 'tnue'; did you mean 'tune'?; known: init, tune" in (
        capsys.readouterr().err
    )


def test_a_verb_that_there_is_not_leads_to_the_one_that_helps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["predict", "photo.jpg"]) == 2
    error = capsys.readouterr().err
    assert "unknown verb 'predict'; `raylt export STUDY DIR` writes a load.py" in error


def test_an_error_of_several_lines_is_one_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overview, "text", failing(InputError("two are wrong:\n  one\n  two")))
    assert cli.run(["check", SDCLR]) == 2
    assert capsys.readouterr().err == "error: two are wrong:\n  one\n  two\n"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("raylt 0.")


def test_check_shows_what_a_search_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", SDCLR, "study.trials=13", "method.prune={low: 0.5, high: 0.9}"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "13 trials by tpe",
        "asha",
        "maximize val/accuracy",
        "sdclr",
        "10 classes with 104, 74, 53, 38, 27, 19, 14, 10, 7, 5 training images, 351 in all",
        "many 1, medium 4, few 5",
        "many 4, medium 3, few 3",
        "method.prune        0.5 to 0.9",
        "Jiang et al.",
        "sample ",
    ):
        assert part in shown


def test_check_can_be_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", "--json", SDCLR]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["train_counts"] == [104, 74, 53, 38, 27, 19, 14, 10, 7, 5]
    assert printed["groups"]["thresholds"] == {"many": 1, "medium": 4, "few": 5}
    assert [leaf["path"] for leaf in printed["leaves"]] == [
        "method.prune",
        "method.temperature",
        "optimizer.lr",
    ]
    assert len(printed["samples"]) == 3
    assert printed["infeasible"] == 0.0


def test_the_json_schema_admits_the_bundled_spaces_and_no_mistakes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["check", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    for path in SPACES.glob("*.yaml"):
        values = document.read(path).values
        assert list(judge.iter_errors(values)) == [], path.name
        values["recipe"]["method"]["temprature"] = 0.2
        values["recipe"]["epochs"] = "ten"
        values["study"]["objective"] = "test/accuracy"
        values["recipe"]["optimizer"]["lr"] = {"low": 0.1}
        assert len(list(judge.iter_errors(values))) == 4


def test_a_space_comes_from_standard_input() -> None:
    ended = program("check", "-", input=Path(SDCLR).read_text("utf-8"))
    assert ended.returncode == 0
    assert "<stdin> is a valid space" in ended.stdout
    ended = program("tune", "--space", "-", input="study: 3\n")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: <stdin>:1: study: must be a mapping")


@pytest.mark.parametrize(
    "changes",
    [
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"NO_COLOR": "1"},
        {"HOME": None},
        {"HOME": "/proc"},
        {"TERM": None},
        {"TMPDIR": "/absent"},
        {"COLUMNS": "20"},
    ],
    ids=str,
)
def test_odd_environments_are_worked_in(changes: dict[str, str | None], tmp_path: Path) -> None:
    """Row 45 of the bad inputs."""
    folder = tmp_path / "Größe 中文 ✓"
    folder.mkdir()
    path = folder / "ein Raum.yaml"
    path.write_text(Path(SDCLR).read_text("utf-8"), "utf-8")
    environment = {**os.environ, **{k: v for k, v in changes.items() if v is not None}}
    for name in (name for name, value in changes.items() if value is None):
        environment.pop(name, None)
    ended = program("check", str(path), env=environment)
    assert ended.stderr == ""
    assert ended.returncode == 0
    assert "ein Raum.yaml is a valid space." in ended.stdout
    assert "\x1b" not in ended.stdout


def test_a_reader_that_leaves_is_no_fault() -> None:
    """Row 45: `raylt check FILE | head`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "raylt", "check", SDCLR],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 141
    assert ended.stderr == ""


def failing(error: BaseException) -> Any:
    def fail(*_: Any) -> str:
        raise error

    return fail


def test_ctrl_c_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overview, "text", failing(KeyboardInterrupt()))
    assert cli.run(["check", SDCLR]) == 130
    assert capsys.readouterr().err == "error: interrupted\n"


def test_an_environment_that_is_not_as_it_must_be_is_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overview, "text", failing(EnvironmentError("the disk must turn")))
    assert cli.run(["check", SDCLR]) == 3
    assert capsys.readouterr().err == "error: the disk must turn\n"


def test_a_fault_of_ours_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(overview, "text", failing(RuntimeError("unforeseen")))
    assert cli.run(["check", SDCLR]) == 1
    line = capsys.readouterr().err
    (report,) = tmp_path.iterdir()
    assert line.startswith("error: RuntimeError: unforeseen; this is a fault of raylt")
    assert str(report) in line
    assert len(line.splitlines()) == 1
    assert "in fail" in report.read_text("utf-8")


# Verbs that start trials: what they hand on.


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Space, Any]]:
    """Catches what `tune` and `train` would begin."""
    from raylt.study.run import driver, plan
    from raylt.study.run.result import Result

    monkeypatch.chdir(tmp_path)
    calls: list[tuple[Space, Any]] = []

    def catch(space: Space, settings: Any, **_: Any) -> SimpleNamespace:
        calls.append((space, settings))
        return SimpleNamespace(space=space, settings=settings, warm=None)

    def run(planned: SimpleNamespace) -> Result:
        space, settings = planned.space, planned.settings
        known = dict.fromkeys(Result.__dataclass_fields__)
        return Result(
            **{
                **known,
                "name": space.study.name,
                "folder": settings.runs,
                "paths": (),
                "objective": "val/accuracy",
                "ranking": (),
                "floor": {"floor/logistic/few": float("nan")},
                "baseline_source": "",
                "versus": None,
                "tracking_uri": "",
                "seconds": 1.0,
                "stopped": "",
                "interrupted": True,
                "notices": (),
                "wanted": 3,
                "validation": (),
                "commands": {"resume": "raylt resume mine"},
            }
        )

    monkeypatch.setattr(plan, "check", catch)
    monkeypatch.setattr(driver, "run", run)
    return calls


def test_an_interruption_says_what_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from raylt.study.run import plan

    def interrupted(space: Space, settings: Any, **_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "check", interrupted)
    assert cli.run(["tune", SDCLR, "--study", "mine"]) == 130
    assert capsys.readouterr().err == (
        "error: interrupted before the search had started: nothing was saved, and nothing is left "
        "behind\n"
    )
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    assert cli.run(["tune", SDCLR, "--study", "mine"]) == 130
    assert "what was scored is saved: `raylt resume mine`" in capsys.readouterr().err


def test_tune_hands_on_the_space_and_the_settings(
    begun: list[tuple[Space, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "tune",
        "--space",
        SDCLR,
        "--trials",
        "13",
        "--study",
        "mine",
        "--workers",
        "2",
        "--concurrent",
        "1",
        "--runs",
        "here",
        "--data",
        "there",
        "--quiet",
        "--tracking-uri",
        "sqlite:///x.db",
        "--tracking-optional",
        "--system-metrics",
        "method.temperature=0.3",
    ]
    # An interrupted search leaves with 130, and says how to go on.
    assert cli.run(arguments) == 130
    assert "raylt resume mine" in capsys.readouterr().out
    ((space, settings),) = begun
    assert (space.study.trials, space.study.name) == (13, "mine")
    assert space.fixed["method"]["temperature"] == 0.3
    assert (settings.runs, settings.data) == (Path("here"), Path("there"))
    assert (settings.workers, settings.concurrent, settings.quiet) == (2, 1, True)
    assert settings.tracking_uri == "sqlite:///x.db"
    assert (settings.tracking_optional, settings.system_metrics) == (True, True)
    assert settings.command.startswith("raylt tune --space ")


def test_the_environment_may_say_where_things_are(
    begun: list[tuple[Space, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYLT_RUNS", "r")
    monkeypatch.setenv("RAYLT_DATA", "d")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    cli.run(["tune", SDCLR])
    settings = begun[0][1]
    assert (settings.runs, settings.data) == (Path("r"), Path("d"))
    assert settings.tracking_uri == "http://localhost:1"


def test_a_result_can_be_read_by_programs(
    begun: list[tuple[Space, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["tune", SDCLR, "--json"]) == 130
    printed = json.loads(capsys.readouterr().out)
    assert printed["name"] == "sdclr-digits"
    assert printed["exit_code"] == 130
    # JSON has no NaN.
    assert printed["floor"] == {"floor/logistic/few": None}


def test_train_wants_every_leaf_closed(
    begun: list[tuple[Space, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["train", SDCLR]) == 2
    line = capsys.readouterr().err
    example = "method.prune=0.9 method.temperature=0.2 optimizer.lr=0.5"
    assert f"add {example}" in line
    assert cli.run(["train", SDCLR, "--study", "one", *example.split()]) == 130
    ((space, _),) = begun
    assert space.leaves == ()
    assert space.study.trials == 1
    assert capsys.readouterr().err == ""


def test_a_batch_must_divide_over_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row 20 of the bad inputs."""
    monkeypatch.chdir(tmp_path)
    assert cli.run(["tune", SDCLR, "--workers", "3", "optimizer.batch_size=64"]) == 2
    assert "but got 64; try 63, or another number of --workers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_something_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert cli.run(["ui"]) == 2
    assert "begin with `raylt tune --space sdclr`" in capsys.readouterr().err
    assert cli.run(["ui", "--tracking-uri", "http://localhost:5000"]) == 2
    assert "open http://localhost:5000 in a browser" in capsys.readouterr().err
    assert cli.run(["status"]) == 0
    assert "runs holds no study" in capsys.readouterr().out
    assert cli.run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    for verb in ("best", "status", "resume"):
        assert cli.run([verb, "absent"]) == 2
        assert "must hold the study 'absent'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.run(["ui", "--runs", str(tmp_path), "--port", port]) == 3
    assert f"port {port} must be free" in capsys.readouterr().err


@pytest.mark.slow
def test_the_ui_serves_this_machine_alone_until_ctrl_c_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "raylt",
        "ui",
        "--port",
        str(port),
        "--tracking-uri",
        f"sqlite:///{tmp_path / 'mlflow.db'}",
        "--runs",
        str(tmp_path),
    ]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        assert answers(port, within=200)
        require_closed(port, tmp_path)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
        assert not answers(port, within=1)
    finally:
        server.kill()


_SPELLINGS = (
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "..%252fsecret.txt",
    "..%5csecret.txt",
    "....//secret.txt",
    "a/../../secret.txt",
)


def require_closed(port: int, runs: Path) -> None:
    """Nobody from elsewhere reaches the server, and nobody at all a file beside its own."""
    (runs / "artifacts").mkdir(exist_ok=True)
    (runs / "artifacts" / "own.txt").write_text("canary-own")
    (runs / "secret.txt").write_text("canary-secret")
    paths = "/api/2.0/mlflow-artifacts/artifacts/"
    assert asked(port, "GET", f"{paths}own.txt") == (200, "canary-own")
    absolute = str(runs / "secret.txt")
    for spelling in (*_SPELLINGS, absolute, absolute.replace("/", "%2f"), f"file://{absolute}"):
        code, printed = asked(port, "GET", paths + spelling)
        assert code in (400, 404), (spelling, code)
        assert "canary" not in printed
        code, printed = asked(port, "GET", f"/static-files/{spelling}")
        assert "canary" not in printed, spelling
    search = ("POST", "/api/2.0/mlflow/experiments/search", {"max_results": 1})
    assert asked(port, *search)[0] == 200
    for name, value in (("Host", "evil.example"), ("Origin", "http://evil.example")):
        assert asked(port, *search, **{name: value})[0] == 403, name
    listens = [
        line.split()[1]
        for kind in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]
    assert listens == [f"0100007F:{port:04X}"]


def asked(
    port: int, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, str]:
    """Status and text of an answer; the path goes out as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def answers(port: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
                return page.status == 200
        except OSError:
            time.sleep(0.5)
    return False
