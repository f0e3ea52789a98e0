"""A study of record on a PostgreSQL server: everything that a file holds, from any machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from raylt import cli
from raylt.schema import EnvironmentError, InputError
from raylt.study.record import lock, record, storage, studies
from raylt.study.record import postgres as server
from raylt.study.report import leaderboard
from raylt.study.run import driver
from tests.study import drive, made, postgres

URL = "postgresql://me:canary-5f3a@db.example:5432/raylt"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (URL, "postgresql://db.example:5432/raylt"),
        (
            "postgresql+psycopg2://u@h/d?password=x&sslmode=require",
            "postgresql://h/d?sslmode=require",
        ),
        ("postgresql:///d?host=/tmp/s&user=u", "postgresql:///d?host=/tmp/s"),
    ],
)
def test_user_and_password_are_never_shown(given, shown):
    assert server.public(given) == shown
    assert server.public(shown) == shown


@pytest.mark.parametrize(
    "given", ["sqlite:///x.db", "mysql://h/d", "postgresql://h", "no url", ""]
)
def test_what_is_no_postgresql_database_is_refused(given):
    with pytest.raises(InputError, match="must be a PostgreSQL database"):
        server.parsed(given)


def test_a_server_that_is_not_there_is_one_line_at_once(tmp_path):
    began = time.monotonic()
    given = f"postgresql://me:canary-5f3a@/raylt?host={tmp_path}"
    with pytest.raises(EnvironmentError, match="must answer at postgresql:///raylt") as caught:
        studies.open_study("toy", tmp_path, given)
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 10


def test_a_study_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv(server.VARIABLE, raising=False)
    assert storage.chosen(tmp_path, None) is None
    assert storage.chosen(tmp_path, URL) == URL
    monkeypatch.setenv(server.VARIABLE, URL)
    assert storage.chosen(tmp_path, None) == URL
    (tmp_path / "storage.txt").write_text(server.public(URL))
    assert storage.chosen(tmp_path, None) == URL
    with pytest.raises(InputError, match=r"must be postgresql://db\.example:5432/raylt"):
        storage.chosen(tmp_path, "postgresql://me@other/raylt")
    monkeypatch.delenv(server.VARIABLE)
    # Without a password in sight it is libpq that knows one.
    assert storage.chosen(tmp_path, None) == server.public(URL)
    (tmp_path / "study.db").write_text("")
    assert storage.chosen(tmp_path, URL) is None


@pytest.fixture(scope="module")
def pg():
    with postgres.running() as started:
        yield started


@pytest.mark.slow
def test_a_server_holds_what_a_file_holds(pg, tmp_path):
    there = made.study(tmp_path / "there", name="made", url=pg.url)
    here = made.study(tmp_path / "here", name="made")
    for item in (there, here):
        item.close()
    seen = studies.open_study("made", tmp_path / "elsewhere", pg.url)
    for ours, theirs in zip(seen.outcomes(), here.outcomes(), strict=True):
        assert (ours.point, ours.last, ours.state) == (theirs.point, theirs.last, theirs.state)
        mine, other = seen.epochs(ours.number), here.epochs(ours.number)
        assert [e["val/few"] for e in mine] == [e["val/few"] for e in other]
    assert [o.number for o in seen.ranking()] == [o.number for o in here.ranking()]
    # A machine that had nothing has the files now, and knows the server without its password.
    folder = tmp_path / "elsewhere" / "made"
    assert (folder / "space.yaml").read_text() == here.space.text
    assert (folder / "storage.txt").read_text() == pg.public
    assert storage.studies(tmp_path / "elsewhere") == ("made",)
    seen.close()


@pytest.mark.slow
def test_a_study_is_begun_once_and_an_unknown_one_is_named(pg, tmp_path):
    made.study(tmp_path, name="once", trials=2, url=pg.url).close()
    with pytest.raises(InputError, match="holds a study already"):
        made.study(tmp_path / "other", name="once", trials=2, url=pg.url)
    with pytest.raises(InputError, match="must hold the study 'never'"):
        studies.open_study("never", tmp_path, pg.url)
    wrong = pg.url.replace(postgres.PASSWORD, "wrong")
    with pytest.raises(EnvironmentError, match="password authentication failed"):
        studies.open_study("once", tmp_path / "other", wrong)


@pytest.mark.slow
def test_a_half_made_study_is_made_anew(pg, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(record.Record, "enqueue", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.study(tmp_path, name="half", trials=2, url=pg.url)
    assert made.study(tmp_path, name="half", trials=2, url=pg.url).wanted == 2


@pytest.mark.slow
def test_a_wider_space_changes_its_own_study_alone(pg, tmp_path):
    from raylt import space as spaces
    from raylt.study.record import revise

    mine = made.study(tmp_path, name="mine", trials=3, url=pg.url)
    other = made.study(tmp_path, name="other", trials=3, url=pg.url)
    before = other.study.trials
    text = mine.space.text.replace("low: 0.05\n", "low: 0.01\n")
    assert text != mine.space.text
    (tmp_path / "wider.yaml").write_text(text)
    revise.space(mine, spaces.load(tmp_path / "wider.yaml"))
    mine.close()
    again = studies.open_study("mine", tmp_path / "elsewhere", pg.url)
    law = again.study.trials[0].distributions["method.temperature"]
    assert (law.low, law.high) == (0.01, 1.0)
    assert made.again(other).study.trials == before
    assert again.space.text == text


@pytest.mark.slow
def test_one_driver_wherever_it_runs(pg, tmp_path):
    with lock.locked(tmp_path / "a" / "toy", pg.url):
        me = server.Driver(os.getpid(), socket.gethostname())
        assert server.driver(pg.url, "toy") == me
        # Whoever shares no folder with the driver asks the server.
        assert lock.driver_of(tmp_path / "b" / "toy", pg.url) == me
        assert server.driver(pg.url, "another") is None
        with (
            pytest.raises(
                EnvironmentError,
                match=rf"study toy is already running \(process {os.getpid()} on ",
            ),
            lock.locked(tmp_path / "b" / "toy", pg.url),
        ):
            pass
        with lock.locked(tmp_path / "b" / "another", pg.url):
            pass
    with lock.locked(tmp_path / "b" / "toy", pg.url):
        pass
    assert server.driver(pg.url, "toy") is None


def cut(pg, study):
    """End the connection that holds a study, and no other one."""
    key = server._key(study) % 2**64
    with server._session(server.parsed(pg.url)) as connection:
        asked = (
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
            "AND classid::bigint = :high AND objid::bigint = :low"
        )
        where = {"high": key >> 32, "low": key % 2**32}
        assert connection.execute(server.text(asked), where).scalar() is True


@pytest.mark.slow
def test_a_driver_whose_hold_alone_is_cut_notices_and_says_so(pg, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "PERIOD", 0.1)

    def drive_on():
        with lock.locked(tmp_path / "toy", pg.url, go_on="`raylt resume toy -r x`") as hold:
            time.sleep(0.5)
            assert not hold.lost
            cut(pg, "toy")
            _await(lambda: hold.lost)

    with pytest.raises(EnvironmentError, match="go on with `raylt resume toy -r x`") as caught:
        drive_on()
    assert postgres.PASSWORD not in str(caught.value)


@pytest.mark.slow
@pytest.mark.ray
def test_a_search_whose_hold_is_cut_stops_within_a_minute_and_can_be_resumed(pg, tmp_path):
    drive.behave(tmp_path, seconds=0.5)
    printed = _struck(pg, tmp_path, "cut", lambda: cut(pg, "cut"))
    assert "that locked study cut was cut" in printed
    assert f"go on with `raylt resume cut --runs {tmp_path / 'runs'}" in printed
    drive.behave(tmp_path)
    options = drive.settings(tmp_path, storage=pg.url)
    result = driver.resume("cut", options, retry_failed=False)
    assert {trial.state for trial in result.ranking} <= {"complete", "stopped"}
    assert len({trial.digest for trial in result.ranking}) == len(result.ranking) == 6


@pytest.mark.slow
def test_every_verb_that_reads_finds_a_study_on_its_server(pg, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(server.VARIABLE, raising=False)
    made.study(tmp_path / "there", name="read", url=pg.url).close()
    for number, words in enumerate(_READS):
        where = ["--runs", str(tmp_path / str(number)), "--storage", pg.url]
        words = [word.replace("OUT", str(tmp_path / f"{number}.html")) for word in words]
        assert cli.run([*words, *where]) == 0, capsys.readouterr().err
        shown = capsys.readouterr()
        assert shown.out.strip()
        assert postgres.PASSWORD not in shown.out + shown.err
    with lock.locked(tmp_path / "driver" / "read", pg.url):
        assert cli.run(["status", "--storage", pg.url, "--runs", str(tmp_path / "new")]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("read "))
    assert row.split()[1] == "running"


_READS = (
    ["status"],
    ["status", "read"],
    ["best", "read"],
    ["logs", "read", "3"],
    ["compare", "read", "read"],
    ["report", "read", "-o", "OUT"],
)


@pytest.mark.slow
@pytest.mark.ray
def test_a_killed_search_goes_on_from_another_machine(pg, tmp_path):
    """Another folder of runs stands for a machine that shares nothing with the first."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        drive.behave(folder, seconds=0.2)
    environment = {**os.environ, server.VARIABLE: pg.url}
    words = [sys.executable, "-m", "tests.study.drive"]
    quiet = {"env": environment, "start_new_session": True, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*words, "search", str(first)], **quiet) as process:
        _await(lambda: _ended(pg, first) >= 2)
        os.killpg(process.pid, signal.SIGKILL)
    finished = subprocess.run(
        [*words, "resume", str(second)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert finished.returncode == 0, finished.stderr
    assert len(json.loads(finished.stdout)["states"]) == 6
    seen = studies.open_study("toy", second / "runs", pg.url)
    ended = seen.outcomes()
    assert {trial.state for trial in ended} <= {"complete", "stopped"}
    assert len({trial.digest for trial in ended}) == len(ended) == 6
    for trial in ended:
        epochs = [entry["epoch"] for entry in seen.epochs(trial.number)]
        assert epochs == list(range(1, trial.epoch + 1))
    seen.close()
    _require_no_secret(tmp_path)


@pytest.mark.slow
@pytest.mark.ray
def test_a_server_that_stops_ends_the_search_in_one_line_and_nothing_is_lost(pg, tmp_path):
    drive.behave(tmp_path, seconds=0.3)
    printed = _struck(pg, tmp_path, "gone", pg.stop)
    assert "the study's storage must answer at postgresql:///" in printed
    assert postgres.PASSWORD not in printed
    pg.start()
    result = driver.resume("gone", drive.settings(tmp_path, storage=pg.url), retry_failed=False)
    assert {trial.state for trial in result.ranking} <= {"complete", "stopped"}
    assert len(result.ranking) == 6


@pytest.mark.slow
@pytest.mark.ray
def test_drivers_with_a_study_each_share_a_server_and_their_trials_rank_together(pg, tmp_path):
    """The way past one driver: the same space with other seeds, compared as one."""
    names = ("part-0", "part-1")
    environment = {**os.environ, server.VARIABLE: pg.url}
    running = []
    for seed, name in enumerate(names):
        # Two machines, each with a folder of its own: only the server is shared.
        (folder := tmp_path / name).mkdir()
        drive.behave(folder)
        words = [
            sys.executable,
            "-m",
            "tests.study.drive",
            "search",
            str(folder),
            f"study.name={name}",
            f"study.sampler.seed={seed}",
            "study.scheduler.name=none",
            "study.trials=5",
        ]
        running.append(subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL))
    assert [process.wait(timeout=200) for process in running] == [0, 0]
    opened = [studies.open_study(name, tmp_path / "anywhere", pg.url) for name in names]
    for study in opened:
        assert [outcome.state for outcome in study.outcomes()] == ["complete"] * 5
        for outcome in study.outcomes():
            assert [entry["epoch"] for entry in study.epochs(outcome.number)] == [1, 2, 3, 4, 5, 6]
    result = leaderboard.compare(opened, metric=None, force=False)
    assert len(result["ranking"]) == 10
    # Both began with the paper's setting; everything else was drawn with a seed of its own.
    assert len({trial["digest"] for trial in result["ranking"]}) == 9
    for study in opened:
        study.close()


_SEARCH = """
import sys
from pathlib import Path
import click
from raylt.study.record import studies
from raylt.study.run import driver
from raylt.cli import exits
from tests.study import drive

@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("name")
def search(folder, name):
    space = drive.toy(folder, f"study.name={name}")
    # A tracker that does not answer either: what it lacks cannot be counted.
    settings = drive.settings(
        folder, tracking_uri="http://127.0.0.1:9", tracking_optional=True
    )
    drive.search(space, settings)

sys.exit(exits.run(search, sys.argv[1:]))
"""


def _struck(pg, folder, name, blow):
    """What a search says that ends by a blow, once a trial of it has ended."""
    environment = {**os.environ, server.VARIABLE: pg.url}
    words = [sys.executable, "-c", _SEARCH, str(folder), name]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        _await(lambda: _ended(pg, folder, name) >= 1)
        blow()
        printed = process.communicate(timeout=60)[1]
    assert process.returncode == 3, printed
    assert "Traceback" not in printed
    return printed


def _ended(pg, folder, name="toy"):
    if server.fact(pg.url, name, "whole") is None:
        return 0
    seen = studies.open_study(name, folder / "runs", pg.url)
    try:
        return sum(trial.state in ("complete", "stopped") for trial in seen.outcomes())
    finally:
        seen.close()


def _await(true):
    deadline = time.monotonic() + 200
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.3)


def _require_no_secret(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"mlflow.db", "storage.txt"} <= {path.name for path in files}
    assert not [path for path in files if postgres.PASSWORD.encode() in path.read_bytes()]
