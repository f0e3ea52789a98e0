import time

from raylt.study.record import lock, studies
from raylt.study.record.postgres import Driver
from tests.study.search.made import searcher


def test_an_outcome_is_what_a_trial_was_started_with_what_it_scored_and_how_it_ended(study):
    made = study("study.trials=2")
    search = searcher(made)
    config = search.suggest("t")
    assert (made.outcome(0).state, made.outcome(0).attempts) == ("running", 0)
    search.started("t")
    search.on_trial_result("t", {"epoch": 1, "val/accuracy": 0.25})
    running = made.outcome(config["number"])
    assert (running.state, running.attempts, running.role) == ("running", 1, "baseline")
    assert (running.last["val/accuracy"], running.best, running.ended) == (0.25, {}, 0)
    assert [entry["epoch"] for entry in made.epochs(0)] == [1]
    search.on_trial_complete("t", {"epoch": 6, "val/accuracy": 0.5})
    complete = made.outcome(0)
    assert (complete.state, complete.last["val/accuracy"], complete.over) == (
        "complete",
        0.5,
        True,
    )
    assert (complete.point, complete.digest) == (running.point, running.digest)
    assert complete.recipe["seed"] == 0
    assert 0 < complete.began <= complete.ended
    search.suggest("u")
    handed_out = made.outcome(1).began
    time.sleep(0.01)
    search.started("u")
    began = made.outcome(1).began
    assert 0 < handed_out < began  # The start of the process is not a part of the trial.
    made.begin_attempt(1)
    assert made.outcome(1).began == began
    assert made.best() == made.baseline() == made.ranking()[0] == complete


def test_the_role_of_a_queued_trial_of_0_1_0_has_its_word_of_today(study):
    made = study("study.trials=2")
    made.enqueue({"method.temperature": 0.5, "method.prune": 0.5}, role="draw")
    assert [outcome.role for outcome in made.outcomes()] == ["baseline", "sampled"]


def test_what_is_noted_and_set_together_is_what_a_reader_of_the_database_sees(study):
    made = study("study.trials=2")
    made.note("later", {"a": (1, 2)})
    made.open_trial()
    made.spend(0, seconds=2.5, cpu_seconds=5.0, gpu_seconds=0.0)
    made.set_alone(0, reason="it ran out of memory")
    reader = studies.load(made.folder, sampler=None)
    assert reader.facts["later"] == made.facts["later"] == {"a": [1, 2]}
    assert reader.outcome(0) == made.outcome(0)
    assert (reader.outcome(0).seconds, reader.outcome(0).cpu_seconds) == (2.5, 5.0)
    reader.close()


def test_a_trial_that_nobody_drives_is_interrupted_and_one_of_another_driver_runs(
    study, monkeypatch
):
    made = study("study.trials=2")
    made.open_trial()
    assert made.outcome(0).state == "running"
    assert made.ranking()[0].state == "interrupted"
    monkeypatch.setattr(lock, "driver_of", lambda folder, url: Driver(1, "another"))
    assert made.ranking()[0].state == "running"
