"""What `raylt best` and `raylt status` say of a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raylt import cli


def begun(study: Any, number: int) -> None:
    """Hand out the next trial of a study."""
    from raylt.study.search import sampler

    space = study.space
    assert study.open_trial() == number
    point = dict(study.outcome(number).point) or {"method.temperature": 0.5, "method.prune": 0.5}
    recipe = space.at(point)
    study.start(
        number,
        point=point,
        recipe=recipe.model_dump(mode="json"),
        digest=recipe.digest,
        parameters=sampler.parameters(space, point),
    )


def ended(study: Any, number: int, accuracy: float) -> None:
    """Close the next trial of a study as complete."""
    begun(study, number)
    last = {"epoch": 6.0, "val/accuracy": accuracy, "val/few": accuracy / 2}
    study.finish(number, "complete", last=last, best=last, baseline=last, seconds=2.0, failure="")


@pytest.fixture
def finished(study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study of two trials, the second of which beats the baseline."""
    made = study("study.trials=2")
    ended(made, 0, 0.5)
    ended(made, 1, 0.75)
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.run(arguments) == 0
    return capsys.readouterr().out


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


@pytest.mark.usefixtures("finished")
def test_the_state_of_studies_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    line = "toy: finished, 2 trials: 2 complete; best trial 1 with val/accuracy 75.0"
    assert shown(capsys, "status").splitlines() == [line]
    text = shown(capsys, "status", "toy")
    assert text.startswith(line)
    assert "method.prune=0.5" in text
    (found,) = json.loads(shown(capsys, "status", "--json"))
    assert (found["study"], found["state"], found["pid"]) == ("toy", "finished", None)


def test_a_trial_that_nobody_trains_any_more_is_interrupted(
    study: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun(study(), 0)
    monkeypatch.chdir(tmp_path)
    head, _, row, *_ = shown(capsys, "status", "toy").splitlines()
    assert "1 interrupted" in head
    assert row.split()[:2] == ["0", "interrupted"]


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
