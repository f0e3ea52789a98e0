"""An ablation from a finished toy study to its table, without Ray."""

import contextlib
import dataclasses
import json
import sqlite3

import pytest
from click.testing import CliRunner

from raylt import cli
from raylt.schema import InputError
from raylt.space.plan import Budget
from raylt.study.ablate import ablate
from raylt.study.confirm import candidates, confirm
from raylt.study.verdict import ablation, test_openings
from tests.study import drive
from tests.study.ablate.conftest import OPENER
from tests.study.confirm.made import settings, starts


def effects(result):
    """The verdicts by way and name."""
    return {(e.subject.way, e.subject.name): e for e in result.effects}


def test_what_carries_what_is_noise_and_what_interacts(toy):
    result = toy.ablate(seeds=9)
    by = effects(result)
    assert set(by) == {
        ("whole", "all changes"),
        *((way, name) for way in ("out", "in") for name in ("prune", "temperature", "lr")),
        *(("declared", name) for name in ("no pruning", "random masks", "shared norms")),
    }
    words = {key: effect.verdict.word for key, effect in by.items()}
    assert words["whole", "all changes"] == "better"
    assert (words["out", "prune"], words["in", "prune"]) == ("better", "better")
    assert (words["out", "lr"], words["in", "lr"]) == ("better", "not shown")
    assert {words[way, "temperature"] for way in ("out", "in")} == {"not shown"}
    assert words["declared", "shared norms"] == "better"
    assert by["whole", "all changes"].verdict.mean == pytest.approx(0.4, abs=0.01)
    assert by["out", "prune"].verdict.mean == pytest.approx(0.4, abs=0.01)
    assert by["in", "prune"].verdict.mean == pytest.approx(0.3, abs=0.01)
    assert by["declared", "shared norms"].verdict.mean == pytest.approx(0.05, abs=0.01)
    # Ten comparisons and nine seeds: the smallest p-value of a difference that every seed has.
    assert by["out", "prune"].verdict.p_holm == pytest.approx(10 / 2**9)
    assert result.one_by_one.mean == pytest.approx(0.1, abs=0.01)
    assert result.one_by_one.sure
    assert result.set_back.mean == pytest.approx(0.1, abs=0.01)
    assert result.interplay["lr"].mean == pytest.approx(0.1, abs=0.01)
    assert not result.interplay["temperature"].sure
    assert [step.name for step in result.path][:2] == ["prune", "lr"]
    assert result.sentence.startswith("Together the changes bring +40.")
    assert "Prune and lr carry the gain. Temperature is within the noise" in result.sentence
    assert "more than one by one: prune and lr" in result.sentence
    assert (result.openings, result.exit_code) == (0, 0)


def test_it_shares_the_runs_of_a_confirmation_and_asks_nothing_twice(toy, tmp_path):
    options = candidates.Options(top=1, seeds=9, race=True, retry_failed=False, opener=OPENER)
    confirm.confirm("toy", settings(tmp_path), options)
    assert starts(toy.folder) == (18, 18)
    first = toy.ablate(seeds=9, race=False)
    # Baseline and winner are there; three alone, three set back, three of the method. The path's
    # settings are among them.
    assert starts(toy.folder) == (9 * 11, 9 * 11)
    calls = len(toy.calls)
    again = toy.ablate(seeds=9, race=False)
    assert again == first
    assert len(toy.calls) == calls
    kept = ablation.stored(toy.open())
    assert kept == json.loads(json.dumps(dataclasses.asdict(first)))


def test_a_killed_ablation_goes_on_where_it_was(toy):
    toy.stop_after = 7
    result = toy.ablate(seeds=8)
    assert (result.interrupted, result.exit_code) == (True, 130)
    assert "raylt ablate toy" in ablation.text(result)
    assert ablation.stored(toy.open()) is None
    toy.stop_after = None
    whole = toy.ablate(seeds=8)
    assert not whole.interrupted
    runs, begun = starts(toy.folder)
    assert runs == begun


def test_a_spent_budget_ends_it_and_a_larger_one_goes_on(toy):
    result = toy.ablate(seeds=8, budget=Budget(wall_clock="0s"))
    assert result.stopped.startswith("budget spent: wall_clock")
    assert not result.interrupted
    text = ablation.text(result)
    assert "go on with a larger budget" in text
    assert ablation.NOT_YET in text
    assert "noise" not in text, text
    assert ablation.stored(toy.open()) is None
    whole = toy.ablate(seeds=8, path=False)
    assert whole.stopped == ""
    assert effects(whole)["out", "prune"].verdict.word == "better"


def test_what_does_not_help_leaves_the_race_and_is_never_called_a_gain(toy, monkeypatch):
    monkeypatch.setattr(
        "raylt.study.confirm.race.hopeless", lambda differences: sum(differences) < 0.01
    )
    result = toy.ablate(seeds=8, path=False)
    by = effects(result)
    assert by["in", "temperature"].dropped == 3
    assert by["in", "temperature"].verdict.p == 1
    assert by["out", "prune"].verdict.word == "better"
    assert "out after 3 seeds" in ablation.text(result)
    assert result.path == ()


def test_the_test_images_are_opened_once_and_only_if_asked_for(toy):
    toy.ablate(seeds=8)
    assert test_openings.openings(toy.open()) == ()
    result = toy.ablate(seeds=8, test=True)
    assert (result.metric, result.openings) == ("test/accuracy", 1)
    assert effects(result)["out", "prune"].verdict.word == "better"
    assert toy.ablate(seeds=8, test=True).openings == 1
    assert "Test set opened 1x" in ablation.text(result)


def test_a_setting_that_fails_with_a_seed_is_not_called_a_gain(toy, tmp_path):
    drive.behave(tmp_path, fails=[[2, 0.9]])
    result = toy.ablate(seeds=8, path=False)
    assert effects(result)["out", "prune"].verdict.word == "not shown"
    assert result.exit_code == 4
    assert "seed 2 failed: bad with seed 2" in ablation.text(result)
    drive.behave(tmp_path)
    healed = toy.ablate(seeds=8, path=False, retry_failed=True)
    assert effects(healed)["out", "prune"].verdict.word == "better"


def test_everything_stands_in_eighty_columns(toy):
    text = ablation.text(toy.ablate(seeds=8))
    assert max(map(len, text.splitlines())) <= 80
    assert "prune 0.9 -> 0.5" in text
    assert "set back alone: what trial 1 loses" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 4}, "--seeds must be 8 to 40 for 10 comparisons"),
        ({"trial": 7}, "trial 7 does not exist"),
        ({"trial": 0}, "must differ from the baseline"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_anything_is_written(toy, changes, message):
    with pytest.raises(InputError, match=message):
        toy.ablate(**changes)
    assert not (toy.folder / "confirm").exists()


def test_other_images_are_refused(toy):
    path = toy.folder / "study.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE study_user_attributes SET value_json = '\"other\"' WHERE key = 'fingerprint'"
        )
    with pytest.raises(InputError, match="the images must be those that it began with"):
        toy.ablate()
    assert starts(toy.folder) == (0, 0)


def test_a_search_that_is_not_over_is_refused(study, tmp_path):
    made = study()
    made.close()
    with pytest.raises(InputError, match=r"must be over and have a winner.*`raylt resume toy"):
        ablate.ablate("toy", settings(tmp_path), ablate.Options())


def test_the_command_prints_the_table_and_a_budget_is_checked(toy, tmp_path):
    where = ["--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "data"), "--quiet"]
    toy.ablate(seeds=8)
    shown = CliRunner().invoke(cli.commands, ["ablate", "toy", "--seeds", "8", *where])
    assert shown.exit_code == 0, shown.output
    assert "carries" in shown.output
    shown = CliRunner().invoke(cli.commands, ["ablate", "toy", "--seeds", "8", *where, "--json"])
    assert json.loads(shown.output)["effects"][0]["verdict"]["word"] == "better"
    for word in ("hours=3", "cpu_hours=much", "cpu_hours=0"):
        assert cli.run(["ablate", "toy", "--budget", word, *where]) == 2
