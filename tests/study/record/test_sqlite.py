import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from raylt.schema import EnvironmentError
from raylt.study.record import sqlite, studies
from tests.study import made


def reopened(record):
    return studies.open_study(record.folder.name, record.folder.parent)


@pytest.fixture
def study_made(tmp_path):
    record = made.study(tmp_path, trials=2, failed=(), stopped=(), tables=False)
    yield record
    record.close()


def damaged(path, rng_at):
    content = bytearray(path.read_bytes())
    for place in range(rng_at, min(rng_at + 3000, len(content))):
        content[place] = 0x5A
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database at all " * 100),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: damaged(path, 0),
        lambda path: damaged(path, 4096),
    ],
    ids=["foreign", "cut", "head", "page"],
)
def test_a_damaged_file_is_named_with_what_is_whole(spoil, study_made, tmp_path):
    study_made.close()
    spoil(tmp_path / "made" / "study.db")
    with pytest.raises(EnvironmentError, match=r"study\.db is damaged .* What 2 trials") as raised:
        reopened(study_made)
    assert str(tmp_path / "made" / "trials") in str(raised.value)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("table", ["study_user_attributes", "trial_user_attributes"])
def test_a_fact_that_is_no_json_is_damage(table, study_made, tmp_path):
    study_made.close()
    with sqlite3.connect(tmp_path / "made" / "study.db") as database:
        database.execute(f"UPDATE {table} SET value_json = 'not json' WHERE key != 'whole'")
    database.close()
    with pytest.raises(EnvironmentError, match=r"study\.db is damaged"):
        reopened(study_made)
    with pytest.raises(EnvironmentError, match=r"study\.db is damaged"):
        made.again(study_made)


HOLD = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(100)
"""


def test_whoever_locks_the_file_is_named(study_made, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "WAIT", 0.2)
    study_made.close()
    again = made.again(study_made)
    path = str(tmp_path / "made" / "study.db")
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        with pytest.raises(EnvironmentError, match=rf"locked by .*\(process {other.pid}\)"):
            again.note("a", 1)
        other.kill()
    again.close()


def test_a_full_disk_says_so_and_nothing_is_lost(study_made, tmp_path, monkeypatch):
    study_made.close()
    again = made.again(study_made)
    facts = dict(again.facts)
    # The file may not grow any more, as on a full disk.
    with again._database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.connection.detach()
    monkeypatch.setattr(sqlite, "_free", lambda path: 0)

    def limited(connection, _):
        connection.execute("PRAGMA max_page_count = 1")

    sqlite.event.listen(again._database.engine, "connect", limited)
    again._database.engine.dispose()
    with pytest.raises(EnvironmentError, match=r"no space is left on the disk of .*study\.db"):
        again.note("large", "x" * 10**6)
    again.close()
    seen = reopened(study_made)
    assert dict(seen.facts) == facts
    seen.close()


def test_an_error_of_the_program_is_not_the_file_s():
    assert sqlite.trouble(sqlite3.IntegrityError("UNIQUE"), "study.db") == ""


@pytest.mark.parametrize("gone", [os.remove, lambda path: open(path, "w").close()])
def test_a_folder_of_trials_without_a_record_is_neither_begun_anew_nor_opened(
    gone, study_made, tmp_path
):
    study_made.close()
    folder = tmp_path / "made"
    gone(folder / "study.db")
    for use in (
        lambda: studies.require_new(folder, None, "made"),
        lambda: reopened(study_made),
    ):
        with pytest.raises(EnvironmentError, match=r"2 trials .* record, .*study\.db, is gone"):
            use()
    # Without trials nothing is lost: a driver may have been killed while it began the study.
    shutil.rmtree(folder / "trials")
    studies.require_new(folder, None, "made")


_READ = """
import sys
from raylt import cli
runs, page = sys.argv[1:]
verbs = ["status", "status made", "best made", "table made", "compare made", "logs made 0"]
verbs += [f"report made --output {page}", f"space diff {runs}/made/space.yaml sdclr"]
words = [[*verb.split(), *([] if "space" in verb else ["--runs", runs])] for verb in verbs]
writing = [[verb, "made", "--runs", runs] for verb in ("report", "confirm")]
print([cli.run(w) for w in words], [cli.run(w) for w in writing])
"""


@pytest.fixture
def without_rights(tmp_path):
    """What a command begins with that may not write into the folder of runs; root may do so
    whatever the modes say, unless it gives that right up."""
    runs = tmp_path / "runs"
    if os.geteuid() != 0:
        yield lambda: [path.chmod(0o500) for path in (runs, runs / "made")] and []
        for path in (runs, runs / "made"):
            path.chmod(0o700)
        return
    if shutil.which("setpriv") is None:
        pytest.skip("root gives its rights up by setpriv")

    def taken():
        for path in (runs, *runs.rglob("*")):
            os.chown(path, 65534, 65534)
        return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

    yield taken


def test_a_study_that_may_not_be_written_is_read(tmp_path, without_rights):
    made.study(tmp_path / "runs", trials=4, stopped=()).close()
    page = tmp_path / "page.html"
    words = [*without_rights(), sys.executable, "-c", _READ, str(tmp_path / "runs"), str(page)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert ended.stdout.splitlines()[-1] == f"{[0] * 8} {[3, 3]}", ended.stderr
    assert page.is_file()
    own, writing = ended.stderr.splitlines()[-2:]
    assert "report.html is not: Permission denied; choose another file with --output" in own
    assert "runs/made is not: Permission denied" in writing
    assert not [*(tmp_path / "runs").rglob("study.db-*")]


def test_what_is_not_in_the_file_yet_is_read_too(tmp_path, monkeypatch, study_made):
    study_made.note("late", 7)
    shutil.copytree(study_made.folder, tmp_path / "copied" / "made")
    assert (tmp_path / "copied" / "made" / "study.db-wal").stat().st_size
    monkeypatch.setattr(sqlite, "_writable", lambda path: False)
    assert studies.open_study("made", tmp_path / "copied").facts["late"] == 7
