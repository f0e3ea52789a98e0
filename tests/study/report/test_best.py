"""What `raylt best` says of a study."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from raylt import cli, space
from raylt.schema import InputError
from raylt.study.record import lock
from raylt.study.report import best
from tests.study import made
from tests.study.report.made import shown


@pytest.mark.usefixtures("finished")
def test_the_best_trial_stands_beside_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "best", "toy")
    assert "toy: trial 1 is the best of 2" in text
    assert ["method.prune", "0.5", "0.9"] in [line.split() for line in text.splitlines()]
    assert ["val/accuracy", "75.0", "50.0"] in [line.split() for line in text.splitlines()]
    printed = json.loads(shown(capsys, "best", "toy", "--json"))
    assert printed["best"]["number"] == 1
    assert printed["best"]["recipe"]["method"]["prune"] == 0.5
    assert printed["baseline"]["number"] == 0


@pytest.mark.usefixtures("finished")
def test_the_best_trial_can_be_trained_again_as_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from raylt.study.run import plan

    command = json.loads(shown(capsys, "best", "toy", "--json"))["retrain"]
    recipes: list[Any] = []

    def catch(space: Any, settings: Any, data_of: Any) -> None:
        assert data_of.name == "toy"
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
    assert shown(capsys, "status").splitlines()[2].split()[:2] == ["toy", "unfinished"]


@pytest.mark.parametrize("verb", ["best", "export"])
def test_a_search_that_runs_is_waited_for(
    study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    folder = study().folder
    words = [verb, "toy", *([str(tmp_path / "model")] if verb == "export" else [])]
    with lock.locked(folder, None):
        (folder / "driver.lock").write_text("1 elsewhere")
        assert cli.run([*words, "--runs", str(folder.parent)]) == 2
    error = capsys.readouterr().err
    assert "the search is running (process 1 on elsewhere), so wait for its trials" in error
    assert f"`raylt status toy --runs {folder.parent}` shows how far they are" in error
    assert "resume" not in error


def test_a_study_whose_trials_are_all_over_without_a_result_is_made_larger(tmp_path: Path) -> None:
    text = "study.constraints=[{metric: val/accuracy, min: 2}]"
    record = made.study(tmp_path, text, trials=2, failed=(), stopped=(), tables=False)
    with pytest.raises(InputError, match=r"go on with `raylt resume made --trials \+2 "):
        best.best(record)


def test_the_printed_command_warns_of_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    words = shlex.split(best.best(record)["retrain"])
    file, values = words[words.index("-s") + 1], [word for word in words if "=" in word]
    assert space.load(file, [*values, "study.trials=1", "study.versus=null"]).warnings == ()


def test_a_baseline_that_won_stands_alone(tmp_path: Path) -> None:
    record = made.study(tmp_path, trials=1, failed=(), stopped=(), tables=False)
    text = best.best_text(record)
    assert text.startswith("made: trial 0, the baseline, is the best of 1\n")
    assert ["method.prune", "0.9"] in [line.split() for line in text.splitlines()]
    assert "The best trial is the baseline itself: the search found nothing better" in text
    assert "really better" not in text


def test_few_validation_images_are_said(tmp_path: Path) -> None:
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    record.note("validation", 6)
    assert "One of the 6 validation images is worth 17 points" in best.best_text(record)


def test_that_raw_pixels_are_as_good_is_said(tmp_path: Path) -> None:
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    assert "raw pixels" not in best.best_text(record)
    record.note("floor", {"floor/neighbour/accuracy": 0.99})
    assert "No trial beats the raw pixels: the best reaches accuracy " in best.best_text(record)


def test_one_run_stands_alone(tmp_path: Path) -> None:
    record = made.one_run(tmp_path)
    text = best.best_text(record)
    assert text.startswith("one: one training, for no leaf is open\n\nval/accuracy ")
    assert best.best(record)["baseline"] is None
    for word in ("baseline", "best", "nothing better", "really better"):
        assert word not in text
    assert f"raylt train -s {record.folder}/space.yaml --study one-again --data-of one" in text


def test_the_command_names_a_study_that_is_not_there_yet(tmp_path: Path) -> None:
    record = made.study(tmp_path, trials=3, failed=(), stopped=(), tables=False)
    assert "--study made-best --data-of made" in best.best(record)["retrain"]
    (tmp_path / "made-best").mkdir()
    assert "--study made-best-2 --data-of made" in best.best(record)["retrain"]
