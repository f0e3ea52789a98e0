import json
import math

import pytest
from ray.tune.search import Searcher

from raylt.schema import EnvironmentError
from raylt.study.record import revise
from raylt.study.search.searcher import TruthfulSearcher
from raylt.study.search.trials import OUT_OF_MEMORY
from tests.study.search.made import Heard, result, run, searcher


def test_the_baseline_comes_first_then_the_points_then_draws(study):
    points = "study.points=[{method.temperature: 0.3, method.prune: 0.3}]"
    search = searcher(study(points))
    roles = [run(search, f"t{i}", [0.5])["role"] for i in range(6)]
    assert roles == ["baseline", "point", "sampled", "sampled", "sampled", "sampled"]
    assert search.suggest("one more") == Searcher.FINISHED


def test_a_full_trial_is_complete_with_its_last_value_and_all_intermediate_ones(study):
    made = study()
    run(searcher(made), "t", [0.1, 0.6, 0.3, 0.2, 0.5, 0.4])
    trial = made.frozen(0)
    assert trial.state.name == "COMPLETE"
    assert trial.value == 0.4
    assert trial.intermediate_values == {1: 0.1, 2: 0.6, 3: 0.3, 4: 0.2, 5: 0.5, 6: 0.4}
    outcome = made.outcome(0)
    assert (outcome.last["epoch"], outcome.best["epoch"]) == (6, 2)
    assert outcome.recipe["method"]["prune"] == 0.9


def test_a_stopped_trial_is_pruned_with_its_last_value_even_if_only_told_at_its_end(study):
    made = study()
    search = searcher(made)
    search.suggest("t")
    search.started("t")
    # Tune hands the report that a scheduler stops on only to on_trial_complete.
    search.on_trial_complete("t", result(1, 0.25, done=True))
    trial = made.frozen(0)
    assert (trial.state.name, trial.value) == ("PRUNED", 0.25)
    assert trial.intermediate_values == {1: 0.25}
    assert made.outcome(0).state == "stopped"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_fails_the_trial_and_never_wins(study, value):
    made = study()
    search = searcher(made)
    run(search, "a", [0.5, value])
    assert made.frozen(0).state.name == "FAIL"
    assert made.outcome(0).last["val/accuracy"] == 0.5
    assert "epoch 2" in made.outcome(0).failure
    run(search, "b", [0.1] * 6)
    assert made.best().number == 1


def test_a_reported_failure_and_a_dead_process_fail_with_their_reason(study):
    made = study()
    search = searcher(made)
    search.suggest("a")
    search.started("a")
    search.on_trial_complete("a", {"failure": "ValueError: no (x.py:3 in f)", "done": True})
    run(search, "b", [0.5], error=True)
    assert [trial.state for trial in made.outcomes()] == ["failed", "failed"]
    assert [trial.failure for trial in made.outcomes()] == [
        "ValueError: no (x.py:3 in f)",
        "b died",
    ]


def test_a_trial_without_a_score_is_no_success(study):
    made = study()
    run(searcher(made), "t", [])
    assert made.outcome(0).state == "failed"


def test_identical_first_failures_end_the_study_with_the_cause(study):
    search = searcher(study())
    for i in range(3):
        search.suggest(f"t{i}")
        search.started(f"t{i}")
        search.on_trial_complete(f"t{i}", {"failure": f"ValueError: image {i} is missing"})
    assert search.suggest("more") == Searcher.FINISHED
    assert search.stopped == (
        "the first 3 trials failed with the same error: ValueError: image 2 is missing"
    )


def test_failures_after_a_success_do_not_end_the_study(study):
    search = searcher(study())
    run(search, "good", [0.5] * 6)
    for i in range(4):
        search.suggest(f"t{i}")
        search.started(f"t{i}")
        search.on_trial_complete(f"t{i}", {"failure": "ValueError: no"})
    assert search.suggest("more") != Searcher.FINISHED


def test_listeners_hear_of_everything_in_order(study):
    heard = Heard()
    search = searcher(study(), heard)
    run(search, "t", [0.5, 0.6])
    search.suggest("u")
    search.started("u")
    # Handed out, but its process is not up yet: nobody has heard of it.
    search.suggest("v")
    search.interrupt()
    assert heard.events == [
        ("started", 0, 1),
        ("reported", 0, 1),
        ("reported", 0, 2),
        ("ended", 0, "stopped"),
        ("started", 1, 1),
        ("interrupted", 1),
    ]


def test_a_repeated_report_counts_once(study):
    made, heard = study(), Heard()
    search = searcher(made, heard)
    search.suggest("t")
    search.started("t")
    for epoch in (1, 2, 1, 2, 3):
        search.on_trial_result("t", result(epoch, 0.1 * epoch))
    assert [entry["epoch"] for entry in made.epochs(0)] == [1, 2, 3]
    assert [e[2] for e in heard.events if e[0] == "reported"] == [1, 2, 3]


def test_a_dead_drivers_trials_come_first_under_their_own_numbers(study):
    before = searcher(study())
    run(before, "done", [0.5] * 6)
    first = before.suggest("flight")
    before.started("flight")
    before.on_trial_result("flight", result(1, 0.3))
    # The driver is killed here: nothing more is told.

    made = study()
    search = searcher(made)
    again = search.suggest("new id")
    assert {k: again[k] for k in ("number", "recipe")} == {
        k: first[k] for k in ("number", "recipe")
    }
    search.started("new id")
    for epoch in range(1, 7):
        search.on_trial_result("new id", result(epoch, 0.3 if epoch == 1 else 0.6))
    search.on_trial_complete("new id", result(6, 0.6))
    outcome = made.outcome(1)
    assert (outcome.state, outcome.attempts, outcome.epoch) == ("complete", 2, 6)
    assert len(made.epochs(1)) == 6
    assert search.suggest("next")["number"] == 2


def test_a_driver_killed_between_the_draw_and_its_record_draws_again(study):
    made = study()
    run(searcher(made), "t", [0.5] * 6)
    made.open_trial()
    made = study()
    config = searcher(made).suggest("t")
    assert config["number"] == 1
    assert made.frozen(1).params.keys() == {"method.temperature", "method.prune"}


def test_the_whole_study_is_as_large_as_asked_after_any_number_of_resumes(study):
    for i in range(6):
        run(searcher(study()), f"t{i}", [0.5])
    made = study()
    assert searcher(made).suggest("more") == Searcher.FINISHED
    assert [trial.number for trial in made.outcomes()] == list(range(6))


def test_no_recipe_is_drawn_twice_and_an_exhausted_space_says_so(study):
    leaves = ("method.temperature={choices: [0.1, 0.2]}", "method.prune={choices: [0.5, 0.9]}")
    made = study(*leaves)
    search = searcher(made)
    configs = [run(search, f"t{i}", [0.1 * i]) for i in range(4)]
    assert len({config["recipe"] for config in configs}) == 4
    assert search.suggest("more") == Searcher.FINISHED
    assert search.stopped == "search space exhausted after 4 of 6 trials"
    assert len(made.outcomes()) == 4


def test_parallel_draws_differ(study):
    search = searcher(study("study.trials=30", "study.sampler.startup=4"))
    recipes = [search.suggest(f"t{i}")["recipe"] for i in range(30)]
    assert len(set(recipes)) == 30


def test_refused_points_are_never_handed_out(study):
    rule = 'study.require=["method.prune > 0.5 or method.temperature > 0.5"]'
    search = searcher(study(rule, "study.trials=25", "study.sampler.startup=5"))
    for i in range(25):
        method = json.loads(run(search, f"t{i}", [0.1])["recipe"])["method"]
        assert method["prune"] > 0.5 or method["temperature"] > 0.5


def test_an_inactive_leaf_is_absent_everywhere(study):
    made = study(
        "method.random_share={low: 0.1, high: 0.9, when: method.prune > 0.5}",
        "study.baseline.values={method.temperature: 0.2, method.prune: 0.4}",
        "study.trials=20",
    )
    search = searcher(made)
    for i in range(20):
        run(search, f"t{i}", [0.1])
    for outcome in made.outcomes():
        active = outcome.point["method.prune"] > 0.5
        assert ("method.random_share" in outcome.point) == active
        assert ("method.random_share" in made.frozen(outcome.number).params) == active
        assert (outcome.recipe["method"]["random_share"] > 0) == active


def test_a_grid_is_walked_in_order_and_once(study):
    made = study(
        "method.temperature={choices: [0.1, 0.2]}",
        "method.prune={low: 0.5, high: 0.9, step: 0.2}",
        "study.sampler.name=grid",
        "study.trials=10",
    )
    search = searcher(made)
    points = []
    while (config := search.suggest(f"t{len(points)}")) != Searcher.FINISHED:
        search.started(f"t{len(points)}")
        search.on_trial_complete(f"t{len(points)}", result(6))
        points.append(tuple(made.outcome(config["number"]).point.values()))
    grid = [(t, pytest.approx(p)) for t in (0.1, 0.2) for p in (0.5, 0.7, 0.9)]
    # The baseline is the point (0.2, 0.9) of the grid and runs first.
    assert points == [grid[-1], *grid[:-1]]


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "nsga2"])
def test_every_sampler_is_repeatable(study, tmp_path, name):
    def recipes(study_name):
        startup = () if name == "random" else ("study.sampler.startup=3",)
        search = searcher(
            study(f"study.name={study_name}", f"study.sampler.name={name}", *startup)
        )
        return [run(search, f"t{i}", [0.1 * i])["recipe"] for i in range(6)]

    assert recipes("a") == recipes("b")


def test_constraints_reach_the_sampler_and_rank_hard(study):
    made = study('study.constraints=[{metric: val/many, min: "baseline - 0.1"}]')
    search = searcher(made)
    for i, (accuracy, many) in enumerate([(0.5, 0.8), (0.9, 0.6), (0.7, 0.75)]):
        search.suggest(f"t{i}")
        search.started(f"t{i}")
        search.on_trial_complete(f"t{i}", result(6, accuracy, **{"val/many": many}))
    assert made.best().number == 2
    assert [trial.number for trial in made.ranking()][:3] == [2, 0, 1]
    assert made.study.best_trial.number == 2
    assert made.frozen(1).constraints == {"val/many min": pytest.approx(0.1)}


def test_a_stopped_trial_is_measured_by_the_baseline_at_the_same_epoch(study):
    made = study('study.constraints=[{metric: val/many, min: "baseline"}]')
    search = searcher(made)
    search.suggest("base")
    search.started("base")
    for epoch, many in enumerate([0.2, 0.4, 0.5, 0.6, 0.7, 0.8], 1):
        search.on_trial_result("base", result(epoch, 0.5, **{"val/many": many}))
    search.on_trial_complete("base", result(6, 0.5, **{"val/many": 0.8}))
    search.suggest("early")
    search.started("early")
    search.on_trial_complete("early", result(1, 0.5, **{"val/many": 0.3}))
    assert made.frozen(1).constraints == {"val/many min": pytest.approx(-0.1)}


def test_several_objectives_are_told_together(study):
    made = study("study.objective=[val/many, val/few]", "study.scheduler.metric=val/accuracy")
    search = searcher(made)
    for i, (many, few) in enumerate([(0.8, 0.2), (0.7, 0.3), (0.6, 0.1)]):
        search.suggest(f"t{i}")
        search.started(f"t{i}")
        last = result(6, 0.5, **{"val/many": many, "val/few": few})
        search.on_trial_result(f"t{i}", last)
        search.on_trial_complete(f"t{i}", last)
    assert [trial.number for trial in made.study.best_trials] == [0, 1]
    search.suggest("early")
    search.started("early")
    search.on_trial_complete("early", result(1, 0.5, **{"val/many": 0.5, "val/few": 0.5}))
    assert made.outcome(3).state == "stopped"


def crowding(study, heard=None, retries=0):
    """A searcher whose trials have company, and how often it was told of a lack of memory."""
    text = []
    search = TruthfulSearcher(
        study,
        [heard] if heard else [],
        lambda _: OUT_OF_MEMORY,
        on_shared_oom=text.append,
        retries=retries,
    )
    return search, text


SHORT = {"failure": "OutOfMemoryError: no room", "out_of_memory": True}


def test_out_of_memory_beside_others_is_no_failure_but_a_later_run_alone(study):
    made, heard = study("study.trials=3"), Heard()
    search, text = crowding(made, heard)
    assert search.suggest("a")["alone"] is False
    search.started("a")
    search.on_trial_result("a", result(1))
    search.on_trial_complete("a", SHORT)
    assert text == [0]
    assert heard.events[-1] == ("interrupted", 0)
    outcome = made.outcome(0)
    assert (outcome.state, outcome.failure) == ("running", "")
    assert outcome.alone == "OutOfMemoryError: no room"

    # The others come first; while they run, one of them may come back too.
    assert search.suggest("b")["number"] == 1
    assert search.suggest("c")["number"] == 2
    for name in "bc":
        search.started(name)
    again = search.suggest("d")
    assert (again["number"], again["alone"]) == (0, True)
    search.started("d")
    assert search.suggest("e") is None
    search.on_trial_complete("b", result(6))
    search.on_trial_complete("c", SHORT)
    assert search.suggest("e")["number"] == 2
    search.started("e")
    assert search.suggest("f") == Searcher.FINISHED
    for name in "de":
        search.on_trial_complete(name, result(6))
    assert [trial.state for trial in made.outcomes()] == ["complete"] * 3
    assert made.outcome(0).attempts == 2
    assert sorted(made.frozen(0).intermediate_values) == [1, 6]


def test_out_of_memory_alone_is_a_failure_with_its_reason(study):
    made = study("study.trials=1")
    search, _ = crowding(made)
    for name in "ab":
        search.suggest(name)
        search.started(name)
        search.on_trial_complete(name, SHORT)
    assert made.outcome(0).state == "failed"
    assert made.outcome(0).failure == "OutOfMemoryError: no room"
    assert search.suggest("c") == Searcher.FINISHED


def test_a_trial_whose_process_died_goes_on_at_once_but_not_for_ever(study):
    made, heard = study("study.trials=3"), Heard()
    search = TruthfulSearcher(made, [heard], lambda name: f"{name} died", retries=2)
    assert run(search, "a", [0.5], error=True)["number"] == 0
    assert heard.events[-1] == ("interrupted", 0)
    # It comes before what is new, and does not cost the study a trial.
    assert run(search, "b", [0.5, 0.6], error=True)["number"] == 0
    assert [trial.state for trial in made.outcomes() if trial.state != "waiting"] == ["running"]
    assert run(search, "c", [0.5, 0.6], error=True)["number"] == 0
    first = made.outcome(0)
    assert (first.state, first.attempts, first.failure) == ("failed", 3, "c died")
    assert [entry["epoch"] for entry in made.epochs(0)] == [1, 2]
    # The last trial may come back too, so that it is not the end while it runs.
    assert run(search, "d", [0.1] * 6)["number"] == 1
    assert search.suggest("e")["number"] == 2
    search.started("e")
    assert search.suggest("f") is None
    search.on_trial_complete("e", error=True)
    assert run(search, "f", [0.1] * 6)["number"] == 2
    assert search.suggest("g") == Searcher.FINISHED
    assert made.outcome(2).state == "complete"


def test_an_error_of_the_program_and_a_value_that_is_no_number_are_not_tried_again(study):
    made = study("study.trials=2")
    search = TruthfulSearcher(made, [], lambda name: "died", retries=2)
    run(search, "a", [0.5, math.nan], error=True)
    search.suggest("b")
    search.started("b")
    search.on_trial_complete("b", {"failure": "ValueError: no"})
    assert [trial.attempts for trial in made.outcomes()] == [1, 1]
    assert search.suggest("c") == Searcher.FINISHED
    assert "epoch 2" in made.outcome(0).failure


def test_a_process_that_was_killed_for_its_memory_runs_alone_too(study):
    made = study("study.trials=1")
    search, heard = crowding(made, retries=2)
    search.suggest("a")
    search.started("a")
    search.on_trial_complete("a", error=True)
    assert heard == [0]
    assert made.outcome(0).alone == OUT_OF_MEMORY
    # At once, without more tries beside others; and what is too large alone stays so.
    assert search.suggest("b")["alone"] is True
    search.started("b")
    search.on_trial_complete("b", error=True)
    assert (made.outcome(0).state, made.outcome(0).failure) == ("failed", OUT_OF_MEMORY)
    assert search.suggest("c") == Searcher.FINISHED


def test_a_killed_driver_leaves_who_must_run_alone_in_the_record(study):
    search, _ = crowding(study("study.trials=2"))
    search.suggest("a")
    search.started("a")
    search.on_trial_complete("a", SHORT)
    search, _ = crowding(study())
    assert (search.suggest("a")["number"], search.suggest("b")["number"]) == (1, 0)


def test_out_of_memory_without_company_is_a_failure_at_once(study):
    made = study("study.trials=1")
    search = searcher(made)
    search.suggest("a")
    search.started("a")
    search.on_trial_complete("a", SHORT)
    assert made.outcome(0).state == "failed"


def test_a_trial_that_died_with_ray_has_not_failed(study):
    made, heard = study("study.trials=1"), Heard()
    search = TruthfulSearcher(made, [heard], lambda name: "died", ray_lost=lambda: True)
    run(search, "a", [0.5], error=True)
    assert heard.events[-1] == ("interrupted", 0)
    assert made.outcome(0).state == "running"


def test_a_full_disk_ends_the_search_and_fails_no_trial(study):
    made, heard = study("study.trials=1"), Heard()
    search = TruthfulSearcher(made, [heard], lambda name: "died")
    search.suggest("a")
    search.started("a")
    failure = {"failure": "OSError: [Errno 28] No space left on device (checkpoint.py:1 in keep)"}
    with pytest.raises(EnvironmentError, match=r"no space is left .* is kept; free some$"):
        search.on_trial_complete("a", failure)
    assert heard.events[-1] == ("interrupted", 0)
    assert made.outcome(0).state == "running"


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_one_run_is_trained_and_after_a_failure_again(study, sampler):
    fixed = ("method.temperature=0.3", "method.prune=0.6", "study.trials=1")
    made = study(*fixed, f"study.sampler={{name: {sampler}}}")
    run(searcher(made), "a", [0.5], error=True)
    assert [(trial.role, trial.state) for trial in made.outcomes()] == [("sampled", "failed")]
    revise.retry_failed(made)
    search = searcher(made)
    run(search, "b", [0.5] * 6)
    assert (made.best().number, search.stopped) == (1, "")
