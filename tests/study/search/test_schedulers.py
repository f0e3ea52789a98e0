from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from raylt.study.search import schedulers
from raylt.study.search.searcher import TruthfulSearcher

STOP, CONTINUE = TrialScheduler.STOP, TrialScheduler.CONTINUE


class Trial(SimpleNamespace):
    """What a scheduler sees of a Tune trial."""

    def __init__(self, number, role="sampled"):
        super().__init__(trial_id=f"t{number}", config={"number": number, "role": role})

    def __hash__(self):
        return hash(self.trial_id)


def race(made, accuracies, roles=None, first=0):
    """Run trials one after another as far as the scheduler lets them; their last epochs."""
    ends = []
    for number, curve in enumerate(accuracies, first):
        trial = Trial(number, (roles or {}).get(number, "sampled"))
        made.on_trial_add(None, trial)
        for epoch, accuracy in enumerate(curve, 1):
            result = {"epoch": epoch, "training_iteration": 77, "val/accuracy": accuracy}
            if made.on_trial_result(None, trial, result) == STOP:
                break
        made.on_trial_complete(None, trial, result)
        ends.append(epoch)
    return ends


GOOD, BAD = [0.9] * 6, [0.1] * 6


def test_asha_stops_the_weak_at_the_grace_period_by_epoch(study):
    made = schedulers.scheduler(study())
    assert race(made, [GOOD, GOOD, GOOD, BAD, BAD]) == [6, 6, 6, 1, 1]


def test_a_study_of_the_first_version_keeps_the_grace_that_it_began_with(study):
    begun = study("study.scheduler={name: asha}")
    assert race(schedulers.scheduler(begun), [GOOD, GOOD, GOOD, BAD]) == [6, 6, 6, 2]
    begun.close()
    path = begun.folder / "space.yaml"
    printed = path.read_text()
    # The first version did not write down what was left out.
    path.write_text(printed.replace("    grace: 2\n", ""), "utf-8")
    assert path.read_text() != printed
    again = study()
    assert race(schedulers.scheduler(again), [GOOD, GOOD, GOOD, BAD]) == [6, 6, 6, 1]


def test_one_run_alone_is_never_stopped_however_short(study):
    closed = ("method.temperature=0.2", "method.prune=0.9", "study.baseline=null")
    made = study(*closed, "study.trials=1", "study.scheduler={name: asha, grace: 20}")
    assert made.space.longest == 6
    assert race(schedulers.scheduler(made), [BAD]) == [6]
    made.close()
    assert race(schedulers.scheduler(study()), [BAD]) == [6]


def test_the_grace_period_is_honoured(study):
    made = schedulers.scheduler(study("study.scheduler.grace=2"))
    assert race(made, [GOOD, GOOD, GOOD, BAD]) == [6, 6, 6, 2]


def test_a_full_trial_is_never_called_stopped_at_its_last_epoch_by_max_t(study):
    made = schedulers.scheduler(study("study.scheduler.grace=5"))
    trial = Trial(0)
    made.on_trial_add(None, trial)
    for epoch in range(1, 7):
        assert made.on_trial_result(None, trial, {"epoch": epoch, "val/accuracy": 0.5}) == CONTINUE


@pytest.mark.parametrize("name", ["asha", "median", "hyperband"])
def test_the_baseline_runs_to_its_end(study, name):
    made = schedulers.scheduler(study(f"study.scheduler.name={name}"))
    ends = race(made, [GOOD, GOOD, GOOD, GOOD, BAD], roles={4: "baseline"})
    assert ends[4] == 6


def test_the_median_rule_stops_what_is_below_the_median(study):
    made = schedulers.scheduler(study("study.scheduler.name=median"))
    ends = race(made, [GOOD, GOOD, GOOD, BAD])
    assert ends[:3] == [6, 6, 6]
    assert ends[3] < 6


@pytest.mark.parametrize("name", ["asha", "median", "hyperband"])
def test_a_failed_trial_teaches_nothing_and_breaks_nothing(study, name):
    made = schedulers.scheduler(study(f"study.scheduler.name={name}"))
    for number in range(3):
        failed = Trial(10 + number)
        made.on_trial_add(None, failed)
        made.on_trial_complete(None, failed, {"failure": "ValueError: no", "done": True})
    assert race(made, [GOOD])[0] == 6


def test_none_stops_nobody(study):
    made = schedulers.scheduler(study("study.scheduler.name=none"))
    assert race(made, [BAD, GOOD, BAD, BAD]) == [6, 6, 6, 6]


@pytest.mark.parametrize("name", ["none", "asha", "median"])
def test_the_next_trial_is_found_without_a_look_at_those_that_are_over(study, name):
    made = schedulers.scheduler(study(f"study.scheduler.name={name}"))
    live = [
        SimpleNamespace(config={"number": number}, status=status)
        for number, status in ((7, "RUNNING"), (9, "PENDING"), (8, "PENDING"), (1, "PAUSED"))
    ]
    # It has no `get_trials`: that one grows.
    controller = SimpleNamespace(get_live_trials=lambda: live)
    for expected in (8, 9, 1):
        chosen = made.choose_trial_to_run(controller)
        assert chosen.config["number"] == expected
        chosen.status = "RUNNING"
    assert made.choose_trial_to_run(controller) is None


def test_a_metric_that_falls_is_watched_downwards(study):
    made = schedulers.scheduler(
        study("study.scheduler.metric=val/std", "study.objective=val/accuracy")
    )
    for number, std in enumerate([0.1, 0.1, 0.1, 0.9]):
        trial = Trial(number)
        made.on_trial_add(None, trial)
        result = made.on_trial_result(None, trial, {"epoch": 1, "val/std": std})
        assert result == (STOP if std == 0.9 else CONTINUE)


def test_a_resumed_study_stops_as_sharply_as_before(study):
    search = TruthfulSearcher(study(), [], str)
    for i in range(3):
        begin(search, i, GOOD)
        search.on_trial_complete(f"t{i}", {"epoch": 6, "val/accuracy": 0.9})
    assert race(schedulers.scheduler(study()), [BAD], first=3) == [1]


@pytest.mark.parametrize("name", ["asha", "median", "hyperband"])
def test_a_trial_in_flight_is_not_ended_at_an_epoch_that_it_had_passed(study, name):
    """It was the first to come so far; since then others have done better."""
    search = TruthfulSearcher(study(f"study.scheduler.name={name}"), [], str)
    begin(search, 0, BAD[:2])
    for i in range(1, 4):
        begin(search, i, GOOD)
        search.on_trial_complete(f"t{i}", {"epoch": 6, "val/accuracy": 0.9})
    made = schedulers.scheduler(study())
    again = Trial(0)
    made.on_trial_add(None, again)
    judged = [
        made.on_trial_result(None, again, {"epoch": epoch, "val/accuracy": 0.1})
        for epoch in (1, 2, 3)
    ]
    assert judged[:2] == [CONTINUE, CONTINUE]
    assert judged[2] == STOP or name == "hyperband"


@pytest.mark.parametrize("name", ["asha", "median", "hyperband"])
def test_a_process_that_died_does_not_count_an_epoch_twice(study, name):
    made = schedulers.scheduler(study(f"study.scheduler.name={name}"))
    early = Trial(0)
    made.on_trial_add(None, early)
    for epoch in (1, 2):
        made.on_trial_result(None, early, {"epoch": epoch, "val/accuracy": 0.1})
    race(made, [GOOD, GOOD, GOOD], first=1)
    for epoch in (1, 2):
        result = made.on_trial_result(None, early, {"epoch": epoch, "val/accuracy": 0.1})
        assert result == CONTINUE


def begin(search, number, curve):
    """Report a curve under the next trial."""
    search.suggest(f"t{number}")
    search.started(f"t{number}")
    for epoch, accuracy in enumerate(curve, 1):
        search.on_trial_result(f"t{number}", {"epoch": epoch, "val/accuracy": accuracy})


def test_the_longest_trial_counts_where_epochs_are_open(study):
    made = schedulers.scheduler(
        study(
            "epochs={choices: [3, 9]}",
            "study.baseline.values={method.temperature: 0.2, method.prune: 0.9, epochs: 3}",
        )
    )
    trial = Trial(0)
    made.on_trial_add(None, trial)
    for epoch in range(1, 10):
        assert made.on_trial_result(None, trial, {"epoch": epoch, "val/accuracy": 0.9}) == CONTINUE
