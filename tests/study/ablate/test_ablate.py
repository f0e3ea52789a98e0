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
from raylt.study.confirm.runs import SeedRuns, open_runs
from raylt.study.report import charts, page, status
from raylt.study.table import rows
from raylt.study.verdict import ablation, test_openings
from tests.study import drive
from tests.study.ablate.conftest import Toy
from tests.study.confirm.made import settings, starts


def effects(result):
    """The effects by way and name."""
    return {(e.subject.way, e.subject.name): e for e in result.effects}


def test_what_carries_what_is_noise_and_what_interacts(confirmed_and_ablated):
    _, result, _ = confirmed_and_ablated
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
    # Ten comparisons and eight seeds: the smallest p-value of a difference that every seed has.
    assert by["out", "prune"].verdict.p_holm == pytest.approx(10 / 2**8)
    assert result.one_by_one.mean == pytest.approx(0.1, abs=0.01)
    assert result.one_by_one.sure
    assert result.set_back.mean == pytest.approx(0.1, abs=0.01)
    assert result.interplay["lr"].mean == pytest.approx(0.1, abs=0.01)
    assert not result.interplay["temperature"].sure
    assert [step.name for step in result.path][:3] == ["baseline", "prune", "lr"]
    assert result.sentence.startswith("Together the changes bring +40.")
    assert "Prune and lr carry the gain. Temperature is within the noise" in result.sentence
    assert "]: prune and lr work better beside the others." in result.sentence
    assert (result.openings, result.exit_code) == (1, 0)
    text = ablation.text(result)
    assert max(map(len, text.splitlines())) <= 80
    assert "prune 0.9 -> 0.5" in text
    assert "set back alone: what trial 1 loses" in text


def test_it_shares_the_runs_of_a_confirmation_and_asks_nothing_twice(
    confirmed_and_ablated, ablated, tmp_path
):
    _, first, before = confirmed_and_ablated
    assert before == (16, 16)
    # Baseline and winner are there; three alone, three set back, three of the method. The path's
    # settings are among them.
    assert starts(ablated.folder) == (8 * 11, 8 * 11)
    with contextlib.closing(open_runs(ablated.open()).record) as record:
        labels = {SeedRuns(record).label(run).partition(",")[0] for run in record.outcomes()}
    changes = ("lr", "prune", "temperature")
    assert labels == {
        *("baseline", "trial 1", "no pruning", "random masks", "shared norms"),
        *(f"only {name}" for name in changes),
        *(f"{name} set back" for name in changes),
    }
    again = ablated.ablate(seeds=8, race=False)
    assert dataclasses.replace(again, tracking_uri=first.tracking_uri) == first
    assert ablated.calls == []
    kept = ablation.stored(ablated.open())
    assert [*kept.values()] == [json.loads(json.dumps(dataclasses.asdict(again)))]
    where = ["--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "data"), "--quiet"]
    words = ["ablate", "toy", "--seeds", "8", "--no-race", *where]
    shown = CliRunner().invoke(cli.commands, words)
    assert (shown.exit_code, shown.output.strip()) == (0, ablation.text(again).strip())
    shown = CliRunner().invoke(cli.commands, [*words, "--json"])
    assert json.loads(shown.output)["effects"][0]["verdict"]["word"] == "better"


def test_what_does_not_help_leaves_the_race_until_it_has_all_seeds(toy, monkeypatch):
    monkeypatch.setattr(
        "raylt.study.confirm.race.hopeless", lambda differences: sum(differences) < 0.2
    )
    raced = toy.ablate(path=False)
    norms = effects(raced)["declared", "shared norms"]
    assert (norms.dropped, norms.verdict.p, len(norms.runs.validation)) == (3, 1, 3)
    assert effects(raced)["whole", "all changes"].verdict.word == "better"
    assert "out after 3 seeds" in ablation.text(raced)
    assert raced.path == ()
    whole = toy.ablate(path=False, race=False)
    assert effects(whole)["declared", "shared norms"].verdict.p == 1 / 2**7
    # Whoever trained the other seeds, the row is judged by all of them.
    assert toy.ablate(path=False).effects == whole.effects
    assert "out after" not in ablation.text(toy.ablate(path=False))


def test_what_left_the_race_says_so_in_the_table_while_the_rest_is_not_finished(toy, monkeypatch):
    monkeypatch.setattr(
        "raylt.study.confirm.race.hopeless", lambda differences: sum(differences) < 0.2
    )

    def fewer():
        table = rows.table([toy.open()], None, ablations=True)
        return {row.name: row.fewer for row in table.rows if row.fewer}

    # Five settings with the first three seeds, and two runs of the fourth.
    toy.stop_after = 5 * 3 + 2
    assert toy.ablate(path=False).interrupted
    left = {name: "left the race after 3 seeds" for name in ("random masks", "shared norms")}
    assert fewer() == {
        "baseline": "4 of 7 seeds, not finished",
        "trial 1 (winner)": "3 of 7 seeds, not finished",
        "no pruning": "4 of 7 seeds, not finished",
        **left,
    }
    toy.stop_after = None
    assert not toy.ablate(path=False).interrupted
    assert fewer() == left


def test_the_report_counts_the_hours_of_runs_over_fresh_seeds(ablated):
    with contextlib.closing(open_runs(ablated.open()).record) as runs:
        ablations = sum(run.role == "ablation" for run in runs.outcomes())
        others = len(runs.outcomes()) - ablations
        for run in runs.outcomes():
            runs.spend(run.number, seconds=900, cpu_seconds=1800, gpu_seconds=0)
    html = page.page(ablated.open(), charts.of_study(ablated.open()))
    assert f"confirm {others / 2:g}, ablate {ablations / 2:g} CPU-hours" in html


def test_a_path_that_is_finished_stays_where_none_is_asked_for(confirmed_and_ablated, ablated):
    _, first, _ = confirmed_and_ablated
    again = ablated.ablate(seeds=8, race=False, path=False)
    assert (again.path, again.notices) == (first.path, first.notices)
    assert "greedy path" in ablation.text(again)
    html = page.page(ablated.open(), charts.of_study(ablated.open()))
    assert "id='chart-path'" in html
    assert ablated.calls == []
    # That on the test images has none of its own.
    assert ablated.ablate(seeds=8, race=False, path=False, test=True).path == ()
    more = ablated.ablate(seeds=9, race=False, path=False)
    assert (more.path, more.notices[-1]) == (first.path, "the greedy path is over 8 seeds")


def test_a_part_that_two_trials_share_is_trained_once_and_said_under_both_names(tmp_path):
    fixed = "method.temperature: 0.2, optimizer.lr: 0.1"
    toy = Toy(tmp_path).search(
        f"{{method.prune: 0.5, {fixed}}}", f"{{method.prune: 0.6, {fixed}}}"
    )
    assert toy.ablate(path=False, race=False).notices == ()
    before = starts(toy.folder)[0]
    second = toy.ablate(trial=2, path=False, race=False)
    # The trial, its random masks and its shared norms; without pruning both are one model.
    assert starts(toy.folder)[0] == before + 3 * len(second.seeds)
    both = "no pruning, of trial 2 = no pruning"
    assert second.notices == (f"{both}: one setting, which is trained once",)
    table = rows.table([toy.open()], None, ablations=True)
    names = [row.name for row in table.rows]
    assert "no pruning = no pruning, of trial 2" in names
    with contextlib.closing(open_runs(toy.open()).record) as record:
        runs = SeedRuns(record)
        labels = {runs.label(run): runs.brief(run) for run in record.outcomes()}
    assert labels["shared norms, of trial 2, seed 7"] == "shared norms, seed 7"
    assert labels["trial 2, seed 7"] == "trial 2, seed 7"
    assert len(names) == len({*names}) == 8


def test_the_test_images_are_opened_only_if_asked_for_and_counted_once(ablated):
    assert len(test_openings.openings(ablated.open())) == 1
    result = ablated.ablate(seeds=8, race=False, test=True)
    assert (result.metric, result.openings) == ("test/accuracy", 2)
    assert effects(result)["out", "prune"].verdict.word == "better"
    assert ablated.ablate(seeds=8, race=False, test=True).openings == 2
    assert "Test set opened 2x" in ablation.text(result)
    # That on validation images is kept beside it, before it in the report.
    kept = [result["metric"] for result in ablation.stored(ablated.open()).values()]
    assert kept == ["val/accuracy", "test/accuracy"]
    html = page.page(ablated.open(), charts.of_study(ablated.open()))
    assert (
        0
        < html.index(f"Ablation of trial {result.trial} on the validation images")
        < html.index(f"Ablation of trial {result.trial} on the test images")
    )
    for key in ("ablation", "path", "ablation_test", "path_test"):
        assert f"id='chart-{key}'" in html
    _, opening = test_openings.openings(ablated.open())
    assert len(opening.recipes) == 8 * 11


def test_after_a_spent_budget_and_an_interruption_it_goes_on_where_it_was(toy):
    spent = toy.ablate(budget=Budget(wall_clock="0s"))
    assert spent.stopped.startswith("budget spent: wall_clock")
    assert not spent.interrupted
    text = ablation.text(spent)
    assert "; go on with `raylt ablate toy" in text
    assert "--budget wall_clock=" in text
    assert ablation.NOT_YET in text
    assert "noise" not in text, text
    toy.stop_after = 7
    interrupted = toy.ablate()
    assert (interrupted.interrupted, interrupted.exit_code) == (True, 130)
    assert "raylt ablate toy" in ablation.text(interrupted)
    assert ablation.stored(toy.open()) == {}
    (asked,) = status.questions(toy.open())
    assert (asked["verb"], asked["running"], asked["ended"]) == ("ablate", False, 7)
    toy.stop_after = None
    whole = toy.ablate()
    assert (whole.interrupted, whole.stopped) == (False, "")
    assert effects(whole)["whole", "all changes"].verdict.word == "better"
    runs, begun = starts(toy.folder)
    assert runs == begun


def test_a_setting_that_fails_with_a_seed_is_not_called_a_gain(toy):
    drive.behave(toy.root, fails=[[2, 0.5]])
    result = toy.ablate()
    assert effects(result)["whole", "all changes"].verdict.word == "not shown"
    assert result.exit_code == 4
    assert "seed 2 failed: bad with seed 2" in ablation.text(result)
    drive.behave(toy.root)
    healed = toy.ablate(retry_failed=True)
    assert effects(healed)["whole", "all changes"].verdict.word == "better"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 4}, "--seeds must be 7 to 40 for 4 comparisons"),
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


def test_a_budget_is_checked(toy, tmp_path):
    where = ["--runs", str(tmp_path / "runs"), "--quiet"]
    for word in ("hours=3", "cpu_hours=much", "cpu_hours=0"):
        assert cli.run(["ablate", "toy", "--budget", word, *where]) == 2
