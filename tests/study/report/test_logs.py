import threading
import time

import pytest

from raylt import cli
from raylt.schema import InputError
from raylt.study.report import logs, status
from tests.study.report.made import text_of
from tests.study.search.made import result, searcher


@pytest.fixture
def begun(study):
    made = study()
    search = searcher(made)
    search.suggest("t")
    search.started("t")
    return made, search


def say(made, name, text):
    with (made.trial_folder(0) / name).open("a") as file:
        file.write(text)


def test_what_a_trial_printed_and_why_it_failed(begun):
    made, search = begun
    assert text_of(logs.parts(made, 0)).endswith("\nNo epoch is scored yet.")
    say(made, "output-0.txt", "from worker 0\n")
    say(made, "output-1.txt", "from worker 1\n")
    say(made, "error-1.txt", "Traceback\nValueError: no\n")
    search.on_trial_complete("t", {"failure": "ValueError: no (x.py:3 in f)"})
    assert text_of(logs.parts(made, 0)).splitlines()[1:] == [
        "from worker 0",
        "from worker 1",
        "Traceback",
        "ValueError: no",
        "Failed: ValueError: no (x.py:3 in f)",
    ]
    assert "raylt logs toy 0" in text_of(
        status.study_parts(status.study("toy", made.folder.parent))
    )


def test_a_trial_that_nobody_drives_has_the_state_that_status_shows(begun):
    made, _ = begun
    shown = status.study("toy", made.folder.parent)["trials"][0]["state"]
    assert shown == "interrupted"
    assert text_of(logs.parts(made, 0)).startswith(f"toy, trial 0: {shown}, ")


def test_a_short_training_is_shown_whole(begun):
    made, _ = begun
    for epoch in range(1, 33):
        made.report(0, {"epoch": epoch, "val/accuracy": 0.5, "images_per_second": 900.0})
    lines = text_of(logs.parts(made, 0), width=80).splitlines()
    assert lines[2].split() == ["epoch", "accuracy", "images/s"]
    assert [line.split()[0] for line in lines[4:36]] == [str(epoch) for epoch in range(1, 33)]


def test_an_unknown_trial_is_refused(begun):
    with pytest.raises(InputError, match="trials 0 to 0"):
        logs.parts(begun[0], 7)


def test_following_shows_each_piece_once_and_ends_with_the_trial(begun, monkeypatch):
    made, search = begun
    monkeypatch.setattr(logs, "PERIOD", 0.02)
    heard = []
    thread = threading.Thread(
        target=logs.follow, args=(made, 0), kwargs={"write": heard.append, "driven": lambda: True}
    )
    thread.start()
    for i in range(3):
        say(made, "output.txt", f"line {i}\n")
        end = time.monotonic() + 20
        while f"line {i}" not in "".join(heard) and time.monotonic() < end:
            time.sleep(0.01)
    search.on_trial_complete("t", result(6))
    thread.join(20)
    assert "".join(heard) == "line 0\nline 1\nline 2\n"


def test_following_ends_where_nobody_drives_the_study(begun, capsys):
    made, _ = begun
    say(made, "output.txt", "half a")
    made.close()
    code = cli.run(["logs", "toy", "0", "--follow", "--runs", str(made.folder.parent)])
    assert code == 0
    assert capsys.readouterr().out == "half aNo epoch is scored yet.\n"
