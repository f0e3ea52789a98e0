import io
import sys
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from raylt.study.record.listener import Task
from raylt.study.run import progress
from raylt.study.run.progress import Progress
from tests.study.run.made import outcome


def test_without_a_terminal_each_ended_trial_is_one_plain_line(study):
    made = study()
    out = io.StringIO()
    recipe = made.space.at(made.space.baseline_point)
    task = Task(0, "baseline", made.space.baseline_point, recipe, 1)
    with Progress(made, quiet=False, console=Console(file=out, width=60)) as shows:
        shows.started(task)
        shows.reported(task, {"epoch": 1, "val/accuracy": 0.5})
        shows.ended(task, outcome(0, 0.5))
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().startswith("[1/6] trial 0 complete epoch 6/6")
    assert "\x1b" not in out.getvalue()


def test_a_plain_line_of_a_confirmation_has_the_name_of_its_run(study):
    made = study()
    out = io.StringIO()
    recipe = made.space.at(made.space.baseline_point)
    task = Task(0, "baseline", made.space.baseline_point, recipe, 1)
    console = Console(file=out)
    with Progress(made, quiet=False, console=console, name=lambda run: "trial 3, seed 6") as shows:
        shows.started(task)
        shows.ended(task, outcome(0, 0.5))
    assert out.getvalue().startswith("[1/6] trial 3, seed 6 complete epoch 6/6: accuracy 50.0 ")


def test_quiet_says_nothing(study):
    made = study()
    out = io.StringIO()
    recipe = made.space.at(made.space.baseline_point)
    task = Task(0, "baseline", made.space.baseline_point, recipe, 1)
    with Progress(made, quiet=True, console=Console(file=out)) as shows:
        shows.started(task)
        shows.ended(task, outcome(0, 0.5))
    assert out.getvalue() == ""


@pytest.fixture
def screen(study, monkeypatch):
    """Shows a study with one trial that has run 3 of 6 epochs, at a width; returns the text."""

    def draw(width, *overrides, name=None, before=lambda shows: None, epoch=3, start=None):
        terminal = type("Terminal", (io.StringIO,), {"isatty": lambda _: 1})
        monkeypatch.setattr(sys, "stdout", terminal())
        made = study(*overrides)
        console = Console(file=io.StringIO(), force_terminal=True, width=width, height=30)
        recipe = made.space.at(made.space.baseline_point)
        task = Task(0, "baseline", made.space.baseline_point, recipe, 1)
        with Progress(made, quiet=False, console=console, name=name, start=start) as shows:
            shows.started(task)
            shows.reported(task, {"epoch": epoch, "val/accuracy": 0.512, "val/few": 0.4})
            before(shows)
            with console.capture() as captured:
                console.print(shows._render())
            shows.interrupted(task)
        return Text.from_ansi(captured.get()).plain

    return draw


@pytest.mark.parametrize("width", [40, 80, 120])
def test_on_a_terminal_a_table_lives_that_suits_its_width(screen, width):
    text = screen(width)
    lines = [line for line in text.splitlines() if "no room for" not in line]
    assert all(cell_len(line) <= width for line in lines)
    for word in ("toy", "0/6 trials", "3/36 epochs", "running", "0*", "3/6", "51.2", "accuracy"):
        assert word in text
    assert ("prune" in text.partition("no room")[0]) == (width > 40)
    assert "best so far 51.2 (trial 0), baseline 51.2 (trial 0)" in text or width == 40


@pytest.fixture
def minutes(monkeypatch):
    """Lets minutes pass on the clock."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def passed(count):
        now[0] += 60 * count
        return now[0]

    return passed


@pytest.mark.parametrize(
    ("budget", "left"), [("91s", "31s of the budget left"), ("1h", "about 8m00s left")]
)
def test_what_is_left_is_what_the_budget_leaves_where_it_ends_first(screen, minutes, budget, left):
    words = f"study.budget.wall_clock={budget}"
    text = screen(80, words, before=lambda shows: minutes(1), epoch=4)
    assert f"4/36 epochs, 1m00s, {left}" in text


def test_the_time_left_is_not_told_by_the_first_epochs(screen, minutes):
    text = screen(80, before=lambda shows: minutes(1), epoch=3)
    assert "3/36 epochs, 1m00s" in text
    assert "left" not in text


@pytest.mark.parametrize(("after", "told"), [(0.5, False), (1, True)])
def test_the_epochs_of_one_trial_tell_it_once_they_took_a_minute(screen, minutes, after, told):
    text = screen(80, "study.trials=40", before=lambda shows: minutes(after), epoch=6)
    assert "6/240 epochs" in text
    assert ("about 39m00s left" in text) == told


def test_the_clock_of_a_command_goes_on_over_its_parts(screen, minutes):
    began = minutes(0)
    earlier = progress.Start(time=began, epochs=0, begun=began)
    minutes(3)
    text = screen(80, before=lambda shows: minutes(1), epoch=4, start=earlier)
    assert "4/36 epochs, 4m00s, about 32m00s left" in text


def test_the_time_that_ray_takes_to_start_is_none_of_the_time_left(screen, minutes):
    earlier = progress.Start(time=minutes(0), epochs=0)
    minutes(5)
    text = screen(80, before=lambda shows: minutes(1), epoch=4, start=earlier)
    assert "4/36 epochs, 6m00s, about 8m00s left" in text


def test_the_table_says_that_it_stops(screen):
    messages = []
    text = screen(80, before=lambda shows: messages.append(shows.stopping()))
    assert messages == ["stopping: saving 1 trial"]
    assert messages[0] in text


def test_a_confirmation_names_its_runs_and_calls_none_the_best(screen):
    text = screen(80, name=lambda run: f"trial {run.number}, seed 5")
    assert "trial 0, seed 5  running" in text
    assert "0/6 runs" in text
    assert "best" not in text
    assert "prune" not in text


def test_only_what_a_question_asks_for_is_shown_and_counted(study, tmp_path):
    made = study()
    made.open_trial()
    digest = made.outcomes()[0].digest
    for only, shown in ((None, {0}), ({digest}, {0}), (set(), set())):
        shows = Progress(made, quiet=True, console=Console(file=io.StringIO()), only=only)
        assert set(shows._trials) == shown


def test_what_is_left_is_counted_by_what_trials_took():
    half = [outcome(0, 0.9), replace(outcome(1, 0.8, state="stopped"), last={"epoch": 2})]
    running = replace(outcome(2, 0.5, state="running"), last={"epoch": 3})
    # Three epochs of the one that runs, and four each, the mean of those that ended, to come.
    assert progress.epochs_of([*half, running], 5, 6) == (11, 3 + 2 * 4)
    assert progress.epochs_of([], 5, 6) == (0, 30)


def test_the_running_and_the_best_stay_on_a_small_screen():
    trials = [outcome(n, n == 3) for n in range(50)]
    trials += [outcome(n, None, state="running") for n in (50, 51)]
    best = progress.leader(trials, "val/accuracy")
    assert [trial.number for trial in progress.crop(trials, best, 5)] == [3, 48, 49, 50, 51]


def test_the_leader_has_finished_if_anybody_has():
    trials = [outcome(0, 0.9, state="running"), outcome(1, 0.5)]
    assert progress.leader(trials, "val/accuracy") == 1
    assert progress.leader(trials[:1], "val/accuracy") == 0
    assert progress.leader([], "val/accuracy") is None
    assert progress.leader(trials, "val/medium") is None
