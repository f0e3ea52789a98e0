"""What `raylt status` says of a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raylt import cli
from raylt.study.report import status
from tests.study import made
from tests.study.report.made import begun, shown


@pytest.mark.usefixtures("finished")
def test_the_state_of_studies_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    head, _, row = shown(capsys, "status").splitlines()
    assert head.split() == ["study", "state", "trials", "best", "objective", "of", "these"]
    assert row.split() == ["toy", "finished", "2/2", "75.0", "val/accuracy", "2", "complete"]
    line = "toy: finished, 2 trials: 2 complete; best trial 1 with val/accuracy 75.0"
    text = shown(capsys, "status", "toy")
    assert text.startswith(line)
    assert "prune" in text
    assert "\x1b" not in text
    (printed,) = json.loads(shown(capsys, "status", "--json"))
    assert (printed["study"], printed["state"], printed["pid"]) == ("toy", "finished", None)


def test_a_trial_that_nobody_trains_any_more_is_interrupted(
    study: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun(study(), 0)
    monkeypatch.chdir(tmp_path)
    head, _, _, _, row, *rest = shown(capsys, "status", "toy").splitlines()
    assert "1 interrupted" in head
    assert row.split()[:2] == ["0*", "interrupted"]
    assert "* the baseline" in rest


def test_the_state_of_one_run_is_one_sentence(tmp_path: Path) -> None:
    made.one_run(tmp_path).close()
    state = status.study("one", tmp_path)
    sentence, *rest = status.study_parts(state)
    assert sentence.startswith("one: finished, one training: complete; val/accuracy ")
    assert not [line for line in rest if "baseline" in str(line)]


def test_broken_studies_stand_beside_the_others_and_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("broken", "gone", "whole"):
        made.study(tmp_path / "runs", name=name, trials=1, failed=()).close()
    for left in (tmp_path / "runs" / "broken").glob("study.db*"):
        left.write_bytes(b"garbage" * 100)
    for left in (tmp_path / "runs" / "gone").glob("study.db*"):
        left.unlink()
    monkeypatch.chdir(tmp_path)
    assert cli.run(["status"]) == 3
    head, _, row, _, *lines = capsys.readouterr().out.splitlines()
    assert (head.split()[:2], row.split()[:2]) == (["study", "state"], ["whole", "finished"])
    text = " ".join(" ".join(lines).split())
    assert "broken (unreadable): the study's database runs/broken/study.db is damaged" in text
    assert "gone (record gone): runs/gone holds 1 trials of a study" in text
    assert text.count("restore it from a copy") == 2
    assert cli.run(["status", "--json"]) == 3
    states = json.loads(capsys.readouterr().out)
    assert [state["state"] for state in states] == ["unreadable", "record gone", "finished"]
    assert cli.run(["status", "whole"]) == 0
