import json

import pytest
from ray.tune.search import Searcher

from raylt import cli
from raylt.space.plan import Budget
from raylt.study.cost import budget
from raylt.study.cost.budget import BudgetMeter
from raylt.study.report import status
from raylt.study.run import driver
from raylt.study.search.searcher import TruthfulSearcher
from tests.study import drive
from tests.study.drive import behave, settings, toy
from tests.study.report.made import text_of
from tests.study.search.made import Heard, result


class Clock:
    """A monotonic clock that a test turns."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(budget.time, "monotonic", lambda: self.now)

    def hours(self, passed):
        self.now += 3600 * passed


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def searcher(record, *, cpus=2.0, gpus=0.5, heard=None):
    made = BudgetMeter(record, cpus=cpus, gpus=gpus)
    return TruthfulSearcher(record, [heard] if heard else [], str, made), made


def begin(search, name):
    config = search.suggest(name)
    search.started(name)
    return config["number"]


def test_a_trial_costs_its_time_times_what_it_books(study, clock):
    record = study()
    search, _ = searcher(record)
    search.suggest("t")
    clock.hours(5)  # until its process is up it has cost nothing
    search.started("t")
    clock.hours(1)
    search.on_trial_complete("t", result(6))
    trial = record.outcome(0)
    assert (trial.seconds, trial.cpu_seconds, trial.gpu_seconds) == (3600, 7200, 1800)


def test_a_trial_that_runs_alone_costs_all_that_it_keeps_from_others(study, clock):
    record = study()
    budget = BudgetMeter(record, cpus=1.0, gpus=0.5, alone=(1.0, 1.0))
    search = TruthfulSearcher(record, [], str, budget, on_shared_oom=lambda number: None)
    begin(search, "a")
    begin(search, "b")
    clock.hours(1)
    search.on_trial_complete("a", {"failure": "no room", "out_of_memory": True})
    search.on_trial_complete("b", result(6))
    record.note("trials", 2)
    assert begin(search, "c") == 0
    clock.hours(1)
    search.on_trial_complete("c", result(6))
    shared, alone = record.outcome(1), record.outcome(0)
    assert (shared.cpu_seconds, shared.gpu_seconds) == (3600, 1800)
    assert (alone.cpu_seconds, alone.gpu_seconds) == (7200, 1800 + 3600)


def test_a_trial_with_fewer_workers_costs_its_part(study, clock):
    record = study()
    search, _ = searcher(record)
    begin(search, "t")
    clock.hours(1)
    # Nobody knows how many it has until it reports.
    search.on_trial_result("t", {**result(1), "booked": 0.5})
    clock.hours(1)
    search.on_trial_result("t", {**result(2), "booked": 0.5})
    clock.hours(1)
    search.on_trial_result("t", {**result(3), "booked": 1.0})
    clock.hours(1)
    search.on_trial_complete("t", result(6))
    trial = record.outcome(0)
    assert (trial.seconds, trial.cpu_seconds, trial.gpu_seconds) == (4 * 3600, 3 * 7200, 3 * 1800)


def test_an_attempt_that_died_has_cost_its_time_too(study, clock):
    record = study()
    search, _ = searcher(record)
    begin(search, "t")
    clock.hours(1)
    search.started("t")
    clock.hours(2)
    search.on_trial_complete("t", result(6))
    assert record.outcome(0).cpu_seconds == 3 * 2 * 3600


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("cpu_hours: 6", "cpu_hours 6 of 6 h"),
        ("gpu_hours: 1.5", "gpu_hours 1.5 of 1.5 h"),
        ("wall_clock: 180m", "wall_clock 3h00m of 3h00m"),
    ],
)
def test_when_a_limit_is_reached_no_trial_begins_and_the_reason_is_told(
    study, clock, limit, message
):
    search, made = searcher(study(f"study.budget={{{limit}}}"))
    begin(search, "a")
    clock.hours(2.9)
    assert made.spent == ""
    clock.hours(0.1)
    assert made.spent == search_reason(search) == f"budget spent: {message}"


def search_reason(search):
    assert search.suggest("more") == Searcher.FINISHED
    return search.stopped


def test_what_runs_when_the_budget_is_spent_stays_open_and_goes_on_with_a_larger_one(study, clock):
    record, heard = study("study.budget={cpu_hours: 2}"), Heard()
    search, _ = searcher(record, heard=heard)
    begin(search, "a")
    begin(search, "b")
    clock.hours(1)
    search.on_trial_complete("a", result(6))  # at its end anyway
    search.on_trial_complete("b", result(3))  # cut off
    assert [trial.state for trial in record.outcomes()] == ["complete", "running"]
    assert heard.events[-2:] == [("reported", 1, 3), ("interrupted", 1)]
    assert "budget spent" in search.stopped

    again, _ = searcher(study("study.budget={cpu_hours: 2}"))
    assert "budget spent: cpu_hours 4 of 2 h" in search_reason(again)

    larger = study()
    larger.space = toy(larger.folder.parents[1], "study.budget={cpu_hours: 9}")
    again, _ = searcher(larger)
    assert begin(again, "b2") == 1
    clock.hours(1)
    again.on_trial_complete("b2", result(6))
    assert larger.outcome(1).cpu_seconds == 4 * 3600


def test_a_kill_loses_no_more_than_the_interval_between_two_notes(study, clock):
    search, made = searcher(study())
    begin(search, "t")
    clock.hours(1)
    made.tick()
    clock.now += budget.INTERVAL / 2
    made.tick()
    # The driver is killed here.
    record = study()
    assert record.outcome(0).cpu_seconds == 2 * 3600
    _, again = searcher(record)
    clock.now += 36
    again.write()
    assert record.facts["wall_seconds"] == 3636


def test_a_killed_attempt_has_cost_what_its_last_epoch_reported(study, clock):
    def trained(record, name, *epochs):
        search, _ = searcher(record)
        number = begin(search, name)
        for epoch in epochs:
            clock.now += 5
            search.on_trial_result(name, result(epoch))
        return record.outcome(number)

    trained(study(), "t", 1, 2)
    clock.now += budget.INTERVAL / 2
    # The driver is killed here.
    record = study()
    killed = record.outcome(0)
    assert (killed.seconds, killed.cpu_seconds, killed.gpu_seconds) == (10, 20, 5)
    resumed = trained(record, "again", 2, 3)
    assert [entry["cost/seconds"] for entry in record.epochs(0)] == [5, 10, 20]
    assert (resumed.seconds, resumed.cpu_seconds, resumed.gpu_seconds) == (20, 40, 10)


def test_the_wall_clock_counts_only_while_a_search_runs(study, clock):
    for _ in range(2):
        _, made = searcher(study())
        clock.hours(1)
        made.write()
        clock.hours(100)
    assert study().facts["wall_seconds"] == 7200


def test_a_finished_study_is_not_called_spent(study, clock):
    record = study("study.trials=1", "study.budget={cpu_hours: 1}")
    search, _ = searcher(record)
    begin(search, "t")
    clock.hours(1)
    search.on_trial_complete("t", result(6))
    assert search.suggest("more") == Searcher.FINISHED
    assert search.stopped == ""


def test_a_limit_on_gpus_without_gpus_is_told(study):
    assert "cpu_hours or wall_clock" in budget.useless(Budget(gpu_hours=1), 0)[0]
    assert budget.useless(Budget(gpu_hours=1), 0.5) == budget.useless(Budget(cpu_hours=1), 0) == ()


@pytest.mark.ray
def test_a_search_ends_in_peace_when_its_budget_is_spent(tmp_path, store):
    behave(tmp_path, seconds=0.4)
    space = toy(tmp_path, "study.budget={wall_clock: 5s}", "study.trials=100")
    outcome = drive.search(space, settings(tmp_path))
    assert outcome.exit_code == 0
    assert outcome.stopped.startswith("budget spent: wall_clock")
    assert 1 <= len(outcome.ranking) < 100
    # Whoever was cut off stopped at a score, and no epoch is lost.
    for trial in outcome.ranking:
        ran = outcome.folder / "trials" / str(trial.number) / "ran.txt"
        assert trial.state != "failed"
        assert trial.epoch == (len(ran.read_text().split()) if ran.exists() else 0)
    assert outcome.stopped.partition(":")[0] in text_of(
        status.study_parts(status.study("toy", outcome.folder.parent))
    )
    assert json.dumps(status.study("toy", outcome.folder.parent)["budget"])


def test_a_spent_budget_is_told_at_once_with_the_command_that_allows_more(study, tmp_path, capfd):
    study("study.budget={wall_clock: 0.5h, cpu_hours: 9}").note("wall_seconds", 3600.0)
    runs = ["--runs", str(tmp_path / "runs")]
    assert cli.run(["resume", "toy", *runs, "--trials", "+2"]) == 2
    error = capfd.readouterr().err
    assert "wall_clock 1h00m of 30m00s" in error
    assert f"`raylt resume toy study.budget.wall_clock=2h --trials +2 --runs {runs[1]}`" in error
    assert study().wanted == 6
    # What is printed is no dead end: it gets as far as Ray.
    words = [*error.split("`")[1].split()[1:], "--data", str(drive.settings(tmp_path).data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "_run", lambda *_: pytest.fail("started"))
        patch.setattr(driver.session, "ray_session", lambda _: pytest.raises(KeyError))
        with pytest.raises(pytest.fail.Exception, match="started"):
            cli.run(words)
    assert study().wanted == 8


@pytest.mark.parametrize("verb", ["best", "confirm", "export", "status"])
def test_every_hint_about_a_spent_budget_allows_more(study, tmp_path, capfd, verb):
    study("study.budget={wall_clock: 0.5h}").note("wall_seconds", 3600.0)
    more = [str(tmp_path / "model")] if verb == "export" else []
    cli.run([verb, "toy", *more, "--runs", str(tmp_path / "runs")])
    heard = capfd.readouterr()
    assert "`raylt resume toy study.budget.wall_clock=2h" in heard.out + heard.err
