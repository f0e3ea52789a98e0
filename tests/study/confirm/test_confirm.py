"""A confirmation from a finished toy study to its verdict; Ray takes part in one test only."""

import contextlib
import json
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from raylt import cli, recipe
from raylt.schema import InputError
from raylt.study.confirm import candidates, confirm, race, scoring
from raylt.study.confirm import runs as seeds
from raylt.study.confirm.candidates import Options
from raylt.study.record import studies
from raylt.study.report import best, status
from raylt.study.report.charts import class_changes, html, png
from raylt.study.run import session
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.verdict import confirmation, test_openings
from tests.study import drive, fake_seeds

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    # MLflow's own store still uses it.
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

OPENER = "tests.study.fake_seeds:open_test"


def options(**changes):
    plain = {"top": 1, "seeds": 5, "race": True, "retry_failed": False, "opener": OPENER}
    return Options(**{**plain, **changes})


def settings(folder, **changes):
    return drive.settings(folder, work="tests.study.fake_seeds:work", **changes)


class Now:
    """Trains and scores in this process, in place of Ray and MLflow."""

    def __init__(self, settings, *, tracker=None, stop_after=None):
        self.settings = settings
        self.tracker = tracker
        self.interrupted = False
        self.notices = ()
        self.trained = []
        self._stop_after = stop_after

    def trials(self, record):
        searcher = TruthfulSearcher(record, [], lambda trial_id: "died")
        while isinstance(config := searcher.suggest("t"), dict):
            searcher.started("t")
            if len(self.trained) == self._stop_after:
                self.interrupted = True
                searcher.interrupt()
                return ""
            self.trained.append(config["number"])
            reports = []
            try:
                fake_seeds.work(
                    recipe.parse(json.loads(config["recipe"])),
                    root=self.settings.root,
                    folder=Path(config["folder"]),
                    report=reports.append,
                    device=None,
                )
            except ValueError as error:
                reports.append({"failure": str(error)})
            searcher.on_trial_complete("t", reports[-1])
        return searcher.stopped


@pytest.fixture
def toy(study, tmp_path, monkeypatch, request):
    """A finished toy study: the baseline prunes 0.9, trial 1 prunes 0.5 and is truly better; a
    parameter names its objective."""
    drive.behave(tmp_path)
    good = "method.temperature: 0.3, method.prune: 0.5"
    bad = "method.temperature: 0.4, method.prune: 0.98"
    made = study(
        f"study.points=[{{{good}}}, {{{bad}}}]",
        "study.trials=3",
        "study.scheduler.name=none",
        f"study.objective={getattr(request, 'param', 'val/accuracy')}",
    )
    Now(settings(tmp_path)).trials(made)
    made.close()
    calls = []

    @contextlib.contextmanager
    def tracked(chosen, tracker, study, nodes, hold):
        calls.append(Now(chosen, tracker=tracker, stop_after=toy.stop_after))
        yield calls[-1]

    def score(now, record, runs, *, opener):
        found = {
            run.number: scoring._score(
                dict(run.recipe),
                str(now.settings.root),
                str(record.trial_folder(run.number)),
                opener,
                None,
            )
            for run in runs
        }
        return {n: why for n, why in found.items() if why}

    monkeypatch.setattr(session, "room", lambda chosen, space: contextlib.nullcontext([]))
    monkeypatch.setattr(session, "tracked", tracked)
    monkeypatch.setattr(scoring, "score", score)
    toy = types.SimpleNamespace(
        stop_after=None,
        calls=calls,
        folder=tmp_path / "runs" / "toy",
        confirm=lambda **changes: confirm.confirm("toy", settings(tmp_path), options(**changes)),
        open=lambda: studies.open_study("toy", tmp_path / "runs"),
    )
    return toy


def starts(folder):
    return len(list(folder.glob("confirm/trials/*/starts.txt"))), sum(
        len(path.read_text().splitlines()) for path in folder.glob("confirm/trials/*/starts.txt")
    )


def test_a_better_setting_is_called_better_on_seeds_that_the_search_has_not_seen(toy):
    found = toy.confirm()
    (candidate,) = found.candidates
    assert found.seeds == (1, 2, 3, 4, 5)
    assert (candidate.runs.trial, candidate.verdict.word) == (1, "better")
    assert candidate.verdict.p_holm == 1 / 32
    # 0.2 better, but for rounding to fortieths.
    assert candidate.verdict.mean == pytest.approx(0.2, abs=0.02)
    assert candidate.promised == pytest.approx(0.2)
    assert candidate.kept == pytest.approx(0.2)
    assert candidate.paid.groups["few"].mean == pytest.approx(0.2, abs=0.02)
    assert (found.openings, found.exit_code) == (1, 0)
    assert set(found.baseline.test) == {"1", "2", "3", "4", "5"}
    text = confirmation.text(found)
    assert "trial 1 (temperature=0.3 prune=0.5): better, +" in text
    assert "Test set opened 1x" in text


@pytest.mark.parametrize("toy", ["val/best/accuracy"], indirect=True)
def test_where_the_best_epoch_is_searched_the_verdict_is_by_the_chosen_epoch_on_test(toy):
    found = toy.confirm()
    (candidate,) = found.candidates
    assert found.metric == "test/best/accuracy"
    # 0.2 after the last epoch, and the best one is 0.1 better still.
    assert candidate.verdict.mean == pytest.approx(0.3, abs=0.02)
    assert candidate.promised == pytest.approx(0.3)
    assert candidate.paid.groups["few"].mean == pytest.approx(0.3, abs=0.02)
    text = confirmation.text(found)
    scores = candidate.runs.test.values()
    for name in ("best/accuracy", "accuracy"):
        mean = sum(one[f"test/{name}"] for one in scores) / len(scores)
        assert f"{name} {100 * mean:.1f}" in text
    assert "after the epoch that validation chose" in text


@pytest.mark.parametrize("toy", ["val/best/accuracy"], indirect=True)
def test_nothing_chooses_an_epoch_where_no_images_are_held_out(toy):
    found = toy.confirm(retrain="pool")
    assert found.metric == "test/accuracy"
    assert found.candidates[0].verdict.mean == pytest.approx(0.2, abs=0.02)


def test_who_paid_is_drawn_from_the_test_images_that_were_opened(toy):
    assert class_changes.chart(toy.open()).body is None
    found = toy.confirm()
    study = toy.open()
    chart = class_changes.chart(study)
    assert "on the test images, means over 5 seeds" in chart.caption
    changes = found.candidates[0].paid.classes
    bars = [
        (y, *ends)
        for mark in chart.body[0].marks
        for y, ends in zip(mark.y, mark.ends, strict=True)
    ]
    assert sorted(bars) == sorted((100 * c.mean, 100 * c.low, 100 * c.high) for c in changes)
    assert png.png(chart).startswith(b"\x89PNG")
    (trace, *_) = html.drawing(chart)["data"]
    assert all(length >= 0 for length in trace["error_y"]["array"])
    # To draw is not to open.
    assert len(test_openings.openings(study)) == 1


def test_both_settings_train_on_the_same_seeds_and_nothing_else_changes(toy):
    toy.confirm()
    record = seeds.opened(toy.open()).record
    recipes = [dict(one.recipe) for one in record.outcomes()]
    by_setting = {}
    for one in recipes:
        by_setting.setdefault(one["method"]["prune"], []).append(one.pop("seed"))
    assert by_setting == {0.9: [1, 2, 3, 4, 5], 0.5: [1, 2, 3, 4, 5]}
    searched = {one.point["method.prune"]: dict(one.recipe) for one in toy.open().outcomes()}
    for one in recipes:
        assert one == {k: v for k, v in searched[one["method"]["prune"]].items() if k != "seed"}


def test_what_is_known_is_shown_again_without_ray_and_is_no_new_opening(toy):
    first = toy.confirm()
    again = toy.confirm()
    assert again == first
    assert len(toy.calls) == 1
    assert starts(toy.folder) == (10, 10)
    kept = confirmation.stored(toy.open())
    assert kept["candidates"][0]["verdict"]["word"] == "better"


def test_more_seeds_run_only_the_new_ones_and_are_a_second_opening(toy):
    toy.confirm()
    found = toy.confirm(seeds=7)
    assert starts(toy.folder) == (14, 14)
    looks = [p.read_text().split() for p in toy.folder.glob("confirm/trials/*/looks.txt")]
    assert all(each == ["look"] for each in looks)
    assert (found.openings, found.candidates[0].verdict.seeds) == (2, 7)
    first, second = test_openings.openings(toy.open())
    assert set(first.recipes) < set(second.recipes)
    assert "@" in first.who


def test_an_interrupted_confirmation_goes_on_where_it_was(toy):
    toy.stop_after = 4
    found = toy.confirm()
    assert (found.interrupted, found.exit_code, found.openings) == (True, 130, 0)
    assert "raylt confirm toy" in confirmation.text(found)
    assert confirmation.stored(toy.open()) is None
    toy.stop_after = None
    assert toy.confirm().candidates[0].verdict.word == "better"
    assert starts(toy.folder) == (10, 10)


def test_a_confirmation_killed_while_the_test_set_is_open_counts_it_once(toy, monkeypatch):
    score = scoring.score

    def killed(now, record, runs, *, opener):
        score(now, record, runs[:3], opener=opener)
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        toy.confirm()
    monkeypatch.setattr(scoring, "score", score)
    found = toy.confirm()
    assert found.openings == 1
    looks = [p.read_text().split() for p in toy.folder.glob("confirm/trials/*/looks.txt")]
    assert looks == [["look"]] * 10


def test_a_hopeless_candidate_leaves_the_race_and_the_others_are_judged_as_strictly(toy):
    found = toy.confirm(top=2, seeds=6)
    good, bad = found.candidates
    assert (bad.runs.trial, bad.dropped, bad.verdict.word) == (2, 3, "not shown")
    assert (bad.runs.test, bad.paid, bad.verdict.p) == ({}, None, 1)
    assert starts(toy.folder) == (15, 15)
    # Two candidates: twice the p-value, as if the other had run to its end.
    assert good.verdict.p_holm == 2 / 64
    assert "dropped after 3 seeds" in confirmation.text(found)


def test_without_a_race_everybody_runs_to_the_end(toy):
    found = toy.confirm(top=2, seeds=6, race=False)
    assert [each.dropped for each in found.candidates] == [None, None]
    assert [each.verdict.word for each in found.candidates] == ["better", "worse"]
    assert starts(toy.folder) == (18, 18)


def test_the_test_set_stays_shut_if_nobody_is_left(toy, monkeypatch):
    monkeypatch.setattr(race, "hopeless", lambda differences: True)
    found = toy.confirm()
    assert found.openings == 0
    assert not list(toy.folder.glob("confirm/trials/*/test.json"))
    assert "Test set never opened" in confirmation.text(found)


def test_a_setting_that_fails_with_a_seed_is_not_called_better(toy, tmp_path):
    drive.behave(tmp_path, fails=[2])
    found = toy.confirm()
    (candidate,) = found.candidates
    assert candidate.verdict.word == "not shown"
    assert candidate.runs.failures == {"2": "bad with seed 2"}
    assert found.exit_code == 4
    assert "seed 2 failed: bad with seed 2" in confirmation.text(found)
    assert toy.confirm().candidates[0].verdict.word == "not shown"
    drive.behave(tmp_path)
    assert toy.confirm(retry_failed=True).candidates[0].verdict.word == "better"
    assert starts(toy.folder) == (11, 11)


def test_a_run_that_cannot_be_tested_is_told(toy, monkeypatch):
    monkeypatch.setattr(
        scoring, "score", lambda now, record, runs, *, opener: {runs[0].number: "no file"}
    )
    found = toy.confirm()
    assert found.baseline.failures == {"1": "not tested: no file"}
    assert found.candidates[0].verdict.mean is None


def test_the_runs_can_be_trained_on_the_whole_pool_as_the_field_does(toy):
    found = toy.confirm(retrain="pool", top=2, seeds=6)
    record = seeds.opened(toy.open(), validated=False).record
    assert {one.recipe["data"]["validation"] for one in record.outcomes()} == {0}
    assert not any(name.startswith("val/") for one in record.outcomes() for name in one.last)
    # Nobody is dropped where nobody can be looked at, and the test set is opened once for all.
    assert [each.dropped for each in found.candidates] == [None, None]
    assert [each.verdict.word for each in found.candidates] == ["better", "worse"]
    assert [each.kept for each in found.candidates] == [None, None]
    assert (found.retrain, found.openings, found.exit_code) == ("pool", 1, 0)
    text = confirmation.text(found)
    assert "whole training pool" in text
    assert "promised" not in text
    # Those on the split are other runs.
    assert toy.confirm().openings == 2
    assert toy.confirm(retrain="pool", top=2, seeds=6).openings == 2
    assert len(toy.calls) == 2


def test_a_dataset_that_needs_validation_images_is_not_trained_whole(toy):
    one = toy.open().outcome(0)
    recipe = {**one.recipe, "evaluation": {**one.recipe["evaluation"], "probe": "reforward"}}
    with pytest.raises(InputError, match=r"selection must be last.*--retrain split"):
        candidates._setting(toy.open(), one, "candidate", recipe, options(retrain="pool"))


def test_a_study_that_holds_nothing_out_is_confirmed_on_the_test_images(study, tmp_path, toy):
    made = study(
        "study.name=whole",
        "data.validation=0",
        "study.objective=train/loss",
        "study.trials=2",
        "study.scheduler={name: none}",
        "method.temperature=0.3",
        "method.prune=0.5",
        "optimizer.lr={low: 0.1, high: 1.0}",
        "study.baseline.values={optimizer.lr: 0.5}",
    )
    Now(settings(tmp_path)).trials(made)
    made.close()
    found = confirm.confirm("whole", settings(tmp_path), options())
    (candidate,) = found.candidates
    # The fake's scores do not depend on the learning rate.
    assert candidate.verdict.word == "not shown"
    assert (candidate.promised, candidate.kept, candidate.dropped) == (None, None, None)
    assert (found.metric, found.retrain, found.openings) == ("test/accuracy", "split", 1)
    assert "whole" in confirmation.text(found)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seeds": 3}, "at least 5 to compare 1 winners"),
        ({"top": 2, "seeds": 5}, "the smallest p-value of 5 paired seeds is 1/32"),
        ({"seeds": 41}, "less than or equal to 40"),
    ],
)
def test_a_plan_that_cannot_reach_the_level_is_refused_with_the_arithmetic(toy, changes, told):
    with pytest.raises(InputError, match=told):
        toy.confirm(**changes)
    assert not (toy.folder / "confirm").exists()


def test_there_must_be_a_baseline_and_somebody_to_compare(study, tmp_path):
    made = study("study.trials=1", "study.scheduler.name=none")
    made.close()
    with pytest.raises(InputError, match="raylt resume toy"):
        confirm.confirm("toy", settings(tmp_path), options())
    with pytest.raises(InputError, match="begin one with `raylt tune`"):
        confirm.confirm("nothing", settings(tmp_path), options())


def test_every_result_tells_of_the_confirmation_and_the_openings(toy):
    record = toy.open()
    assert "Test set never opened" in best.best_text(record)
    assert "raylt confirm toy" in best.best_text(record)
    toy.confirm()
    record = toy.open()
    assert "Test set opened 1x" in best.best_text(record)
    assert "trial 1 better by +" in best.best_text(record)
    assert best.best(record)["test_openings"] == 1
    assert best.best(record)["confirmation"]["metric"] == "test/accuracy"
    found = status.study("toy", toy.folder.parent)
    assert found["test_openings"] == 1
    assert "Test set opened 1x" in status.study_text(found)


def test_the_command_prints_the_verdict_and_leaves_with_its_code(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "Options", lambda **given: options(**given))
    words = ["confirm", "toy", "--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "data")]
    shown = CliRunner().invoke(cli.commands, [*words, "--top", "1", "--seeds", "5"])
    assert shown.exit_code == 0, shown.output
    assert "better, +" in shown.output
    shown = CliRunner().invoke(cli.commands, [*words, "--top", "1", "--seeds", "5", "--json"])
    assert json.loads(shown.output)["candidates"][0]["verdict"]["word"] == "better"


@pytest.mark.ray
@pytest.mark.slow
def test_ray_trains_and_tests_the_runs_and_mlflow_has_them_under_their_trials(
    study, store, tmp_path
):
    drive.behave(tmp_path)
    points = "[{method.temperature: 0.3, method.prune: 0.5}]"
    made = study(f"study.points={points}", "study.trials=2", "study.scheduler.name=none")
    Now(settings(tmp_path)).trials(made)
    made.close()
    found = confirm.confirm("toy", settings(tmp_path), options())
    assert (found.candidates[0].verdict.word, found.notices) == ("better", ())

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    runs = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    parents = [
        (names[run.data.tags["mlflow.parentRunId"]], run.info.run_name)
        for run in runs
        if "mlflow.parentRunId" in run.data.tags
    ]
    assert sorted(parents) == sorted(
        [("toy", "trial 0"), ("toy", "trial 1")]
        + [(f"trial {n}", f"seed {seed}") for n in (0, 1) for seed in range(1, 6)]
    )
    by_name = {run.info.run_name: run for run in runs}
    assert by_name["trial 1"].data.tags["verdict"] == "better"
    assert by_name["toy"].data.tags["test_openings"] == "1"
    assert by_name["toy"].info.status == "FINISHED"
    assert all("test/accuracy" in r.data.metrics for r in runs if "seed" in r.info.run_name)
    # The description of the study says what was found, before the ranking.
    words = by_name["toy"].data.tags["mlflow.note.content"]
    verdict = words.index("Confirmed over 5 seeds: trial 1 better by +")
    assert verdict < words.index("| trial | state |")
    assert "Test set opened 1x" in words
    files = client.list_artifacts(by_name["toy"].info.run_id, "charts")
    assert "charts/paid.png" in [each.path for each in files]
