"""What `raylt best` says of a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raylt import cli
from tests.study.report.made import shown


@pytest.mark.usefixtures("finished")
def test_the_best_trial_stands_beside_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "best", "toy")
    assert "toy: trial 1 is the best of 2" in text
    assert ["method.prune", "0.5", "0.9"] in [line.split() for line in text.splitlines()]
    assert ["val/accuracy", "75.0", "50.0"] in [line.split() for line in text.splitlines()]
    found = json.loads(shown(capsys, "best", "toy", "--json"))
    assert found["best"]["number"] == 1
    assert found["best"]["recipe"]["method"]["prune"] == 0.5
    assert found["baseline"]["number"] == 0


@pytest.mark.usefixtures("finished")
def test_the_best_trial_can_be_trained_again_as_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from raylt.study.run import plan

    command = json.loads(shown(capsys, "best", "toy", "--json"))["retrain"]
    recipes: list[Any] = []

    def catch(space: Any, settings: Any) -> None:
        recipes.append(space.at({}))
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "check", catch)
    assert cli.run(command.split()[1:]) == 130
    assert recipes[0].method.prune == 0.5
    assert recipes[0].method.temperature == 0.5


def test_a_study_without_a_finished_trial_has_no_best(
    study: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study()
    monkeypatch.chdir(tmp_path)
    assert cli.run(["best", "toy"]) == 2
    assert "a trial must have finished" in capsys.readouterr().err
    assert "toy: unfinished" in shown(capsys, "status")
