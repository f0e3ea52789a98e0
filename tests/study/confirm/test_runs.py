from raylt.study.confirm.runs import open_runs
from raylt.study.verdict import confirmation
from tests.study import drive
from tests.study.confirm.made import starts


def test_both_settings_train_on_the_same_seeds_and_nothing_else_changes(toy):
    toy.confirm()
    record = open_runs(toy.open()).record
    recipes = [dict(run.recipe) for run in record.outcomes()]
    by_setting = {}
    for recipe in recipes:
        by_setting.setdefault(recipe["method"]["prune"], []).append(recipe.pop("seed"))
    assert by_setting == {0.9: [1, 2, 3, 4, 5], 0.5: [1, 2, 3, 4, 5]}
    searched = {trial.point["method.prune"]: dict(trial.recipe) for trial in toy.open().outcomes()}
    for recipe in recipes:
        before = searched[recipe["method"]["prune"]]
        assert recipe == {k: v for k, v in before.items() if k != "seed"}


def test_a_setting_that_fails_with_a_seed_is_not_called_better(toy, tmp_path):
    drive.behave(tmp_path, fails=[2])
    confirmed = toy.confirm()
    (candidate,) = confirmed.candidates
    assert candidate.verdict.word == "not shown"
    assert candidate.runs.failures == {"2": "bad with seed 2"}
    assert confirmed.exit_code == 4
    assert "seed 2 failed: bad with seed 2" in confirmation.text(confirmed)
    assert toy.confirm().candidates[0].verdict.word == "not shown"
    drive.behave(tmp_path)
    assert toy.confirm(retry_failed=True).candidates[0].verdict.word == "better"
    assert starts(toy.folder) == (11, 11)


def test_the_runs_can_be_trained_on_the_whole_pool_as_the_field_does(toy):
    confirmed = toy.confirm(retrain="pool", top=2, seeds=6)
    record = open_runs(toy.open(), validated=False).record
    assert {trial.recipe["data"]["validation"] for trial in record.outcomes()} == {0}
    assert not any(name.startswith("val/") for trial in record.outcomes() for name in trial.last)
    # Nobody is dropped where nobody can be looked at, and the test set is opened once for all.
    assert [candidate.dropped for candidate in confirmed.candidates] == [None, None]
    assert [candidate.verdict.word for candidate in confirmed.candidates] == ["better", "worse"]
    assert [candidate.kept for candidate in confirmed.candidates] == [None, None]
    assert (confirmed.retrain, confirmed.openings, confirmed.exit_code) == ("pool", 1, 0)
    text = confirmation.text(confirmed)
    assert "whole training pool" in text
    assert "in the search" not in text
    # Those on the split are other runs.
    assert toy.confirm().openings == 2
    assert toy.confirm(retrain="pool", top=2, seeds=6).openings == 2
    assert len(toy.calls) == 2
