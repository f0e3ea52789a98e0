import pytest

from raylt.study.confirm.runs import open_runs
from raylt.study.run.retention import Retention
from tests.study.run.made import train
from tests.study.search.made import searcher


def held(made):
    """Trials whose checkpoints are there."""
    return {int(path.parent.name) for path in made.folder.glob("trials/*/*.safetensors")}


@pytest.fixture
def trained(study):
    def make(*overrides):
        made = study("study.trials=20", "study.confirm={top: 2}", *overrides)
        search = searcher(made, Retention(made))
        train(made, search, "base", 0.1)
        for i, accuracy in enumerate([0.3, 0.5, 0.2, 0.4]):
            train(made, search, f"t{i}", accuracy)
        train(made, search, "early", 0.9, epochs=1)
        train(made, search, "failed", 0.9, failure="no")
        return made, search

    return make


def test_the_baseline_the_best_and_what_runs_keep_their_checkpoints(trained):
    made, search = trained()
    assert held(made) == {0, 2, 4}
    number = search.suggest("runs")["number"]
    search.started("runs")
    (made.trial_folder(number) / "checkpoint-000001.safetensors").write_text("")
    train(made, search, "best", 0.9)
    assert held(made) == {0, 2, number, number + 1}
    search.interrupt()
    assert number in held(made)


def test_what_is_small_always_stays(trained):
    made, _ = trained()
    assert len(list(made.folder.glob("trials/*/classes.json"))) == 7


def test_a_resumed_search_removes_what_a_killed_one_left(trained, study):
    made, _ = trained()
    (made.trial_folder(1) / "checkpoint-000001.safetensors").write_text("")
    again = study()
    train(again, searcher(again, Retention(again)), "next", 0.0)
    assert held(again) == {0, 2, 4}


def test_all_may_stay(trained):
    made, _ = trained("study.checkpoints=all")
    assert held(made) == set(range(7))


def test_a_confirmation_keeps_all_of_its_runs_until_the_test_set_is_opened(study):
    made = open_runs(study())
    assert made.record.space.study.checkpoints == "all"
    made.record.close()
