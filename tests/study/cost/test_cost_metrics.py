"""What a trial costs as a metric: recorded by epoch, an objective, a bound, never the first."""

import time

import pytest

from raylt.schema import InputError
from raylt.study import notebook
from raylt.study.search.searcher import TruthfulSearcher
from tests.study.drive import toy

BOTH = "study.objective=[val/accuracy, {metric: cost/seconds, direction: minimize}]"
WATCHED = "study.scheduler={name: asha, metric: val/accuracy}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("study.objective=cost/seconds",), "study.objective: must not be cost/seconds"),
        (("study.objective=[cost/seconds, val/few]", WATCHED), r"objective.0: must not be"),
        (("study.scheduler={name: asha, metric: cost/seconds}",), "watch val/accuracy"),
        (
            ("study.objective=[val/few, {metric: cost/seconds, direction: maximize}]", WATCHED),
            "must be minimize for cost",
        ),
    ],
)
def test_cost_alone_says_nothing(tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        toy(tmp_path, *overrides)


def test_cost_grows_with_the_epochs_and_spans_a_front_with_accuracy(study):
    made = study(BOTH, WATCHED, "study.trials=3", "epochs=2")
    search = TruthfulSearcher(made, [], str)
    # Slow and best, quick and good, slow and worse than both.
    for name, accuracy, pause in (("a", 0.9, 0.3), ("b", 0.8, 0.01), ("c", 0.7, 0.3)):
        search.suggest(name)
        search.started(name)
        for epoch in (1, 2):
            time.sleep(pause)
            search.on_trial_result(name, {"epoch": epoch, "val/accuracy": accuracy})
        search.on_trial_complete(name, {"epoch": 2, "val/accuracy": accuracy})
    costs = [outcome.last["cost/seconds"] for outcome in made.outcomes()]
    assert costs[0] >= 0.6
    assert costs[1] < costs[0]
    first, second = (entry["cost/seconds"] for entry in made.epochs(0))
    assert 0.3 <= first < second == costs[0]
    assert made.frozen(0).values == [0.9, costs[0]]
    assert {trial.number for trial in made.study.best_trials} == {0, 1}
    assert made.best().number == 0


@pytest.mark.parametrize("overrides", [(BOTH, WATCHED), ()])
def test_a_table_has_the_time_up_to_the_last_score_where_the_study_looks_at_it(study, overrides):
    made = study(*overrides, "epochs=1")
    search = TruthfulSearcher(made, [], str)
    search.suggest("a")
    search.started("a")
    search.on_trial_complete("a", {"epoch": 1, "val/accuracy": 0.9})
    columns = notebook.Study(made).frame().columns
    assert "seconds" in columns
    assert ("cost/seconds" in columns) == bool(overrides)


def test_cost_can_be_bounded(study):
    made = study("study.constraints=[{metric: cost/seconds, max: baseline * 1.5}]", "epochs=1")
    search = TruthfulSearcher(made, [], str)
    for name, pause in (("a", 0.2), ("b", 0.6)):
        search.suggest(name)
        search.started(name)
        time.sleep(pause)
        search.on_trial_complete(name, {"epoch": 1, "val/accuracy": pause})
    assert made.best().number == 0


def test_what_a_trial_had_cost_before_a_resume_counts(study):
    made = study("epochs=2")
    before = TruthfulSearcher(made, [], str)
    before.suggest("a")
    before.started("a")
    time.sleep(0.3)
    before.on_trial_result("a", {"epoch": 1, "val/accuracy": 0.5})
    before.interrupt()
    again = study("epochs=2")
    search = TruthfulSearcher(again, [], str)
    search.suggest("a")
    search.started("a")
    search.on_trial_complete("a", {"epoch": 2, "val/accuracy": 0.5})
    assert again.outcome(0).last["cost/seconds"] >= 0.3
