import io
from dataclasses import replace

import pytest
from rich.console import Console

from raylt.study.run import summary
from tests.study.run.made import outcome, search_result


def shown(result, width=120):
    console = Console(file=io.StringIO(), width=width)
    for part in summary.parts(result):
        console.print(part, soft_wrap=isinstance(part, str))
    return console.file.getvalue()


def test_the_summary_ranks_compares_and_says_what_next():
    text = shown(search_result(outcome(2, 0.95), outcome(0, 0.9, role="baseline")))
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines[0].split() == [
        "trial",
        "state",
        "epoch",
        "temperature",
        "prune",
        "accuracy",
        "many",
        "medium",
        "few",
        "time",
    ]
    assert lines[2].split() == [
        "2",
        "complete",
        "6/6",
        "0.2",
        "-",
        "95.0",
        "90.0",
        "-",
        "50.0",
        "1m01s",
    ]
    assert lines[3].split()[0] == "0*"
    assert "Best: trial 2 with accuracy 95.0, many 90.0, few 50.0" in text
    assert "+5.0 points in accuracy, one seed" in text
    assert "Floor (raw pixels, logistic): accuracy 83.0" in text
    for words in ("runs/toy", "raylt best toy", "raylt ui"):
        assert words in text


def test_long_names_of_leaves_are_not_broken_within_a_word():
    result = search_result(
        outcome(0, 0.9),
        paths=tuple(
            f"method.{name}"
            for name in (
                "temperature",
                "complement_weight",
                "complement_power",
                "contrastive_weight",
            )
        ),
    )
    names = shown(result).partition("───")[0].split()
    for word in ("complement_", "contrastive_", "weight", "power", "temperature", "accuracy"):
        assert word in names


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(2, "raylt resume toy --trials +4"), (3, "raylt resume toy   (go on with what is not")],
)
def test_the_summary_says_how_to_go_on(wanted, message):
    ended = [outcome(n, 0.9, state="stopped") for n in range(2)]
    assert message in shown(search_result(*ended, wanted=wanted))


def test_without_validation_images_losses_are_shown_as_what_they_are():
    losses = [
        replace(outcome(n, None, state="complete", role=role), last={"epoch": 6, "train/loss": x})
        for n, role, x in ((2, "sampled", 0.25), (0, "baseline", 1.5))
    ]
    text = shown(search_result(*losses, objective="train/loss"))
    assert "Best: trial 2 with train/loss 0.25" in text
    assert "-1.25 in train/loss, one seed" in text
    assert "Nothing is held out" in text


def test_a_baseline_that_won_is_not_asked_whether_it_is_better():
    won = shown(search_result(outcome(0, 0.9, role="baseline")))
    assert "the best trial is the baseline" in won
    assert "raylt confirm toy   (is the best of the others better?)" in won


def test_without_a_best_trial_neither_it_nor_its_confirmation_is_offered():
    text = shown(search_result(outcome(0, None, state="failed"), best=None))
    assert "Next: raylt ui" in text
    assert "raylt best" not in text
    assert "raylt confirm" not in text


def test_an_interrupted_search_ends_with_the_command_that_goes_on():
    text = shown(search_result(outcome(0, None, state="running"), interrupted=True))
    assert text.rstrip().endswith("raylt resume toy")
    assert "raylt best" not in text


def test_failures_are_shown_with_their_reason():
    failed = outcome(1, None, state="failed", failure="ValueError: no image")
    text = shown(search_result(failed, best=None, stopped="all failed alike"))
    assert "Failed: trial 1: ValueError: no image" in text
    assert "Ended early: all failed alike" in text


def test_trials_that_failed_alike_are_one_line_and_the_most_frequent_failure_comes_first():
    reasons = ["no room", "image 3 is missing", "image 12 is missing", *"abcdef"]
    failed = [outcome(n, None, state="failed", failure=reason) for n, reason in enumerate(reasons)]
    lines = summary.closing(search_result(*reversed(failed), best=None))
    assert [line for line in lines if line.startswith("Failed")] == [
        "Failed: trials 1, 2: image 3 is missing",
        "Failed: trial 0: no room",
        "Failed: trial 3: a",
        "Failed: trial 4: b",
        "Failed: trial 5: c",
    ]


def test_a_ranking_by_few_validation_images_says_so():
    few = shown(search_result(outcome(0, 0.9), validation=[10, 10]))
    assert "One of the 20 validation images is worth 5 points of accuracy" in few
    assert "worth" not in shown(search_result(outcome(0, 0.9)))


def test_a_search_that_raw_pixels_beat_says_so_in_words():
    weak = shown(search_result(outcome(0, 0.8)))
    assert "No trial beats the raw pixels: the best reaches accuracy 80.0" in weak
    assert "raw pixels:" not in shown(search_result(outcome(0, 0.9)))


def test_one_run_is_compared_with_nothing():
    commands = {"best": "raylt best toy", "ui": "raylt ui", "resume": "raylt resume toy"}
    given = {"paths": (), "wanted": 1, "baseline_source": "", "commands": commands}
    text = shown(search_result(outcome(0, 0.9, role="sampled"), **given))
    assert "The model reaches accuracy 90.0" in text
    for word in ("Baseline", "the baseline", "confirm", "--trials", "Best", "best r", "compare"):
        assert word not in text


def test_one_run_of_a_published_setting_says_whose_it_is():
    published = outcome(0, 0.9, role="baseline")
    text = shown(search_result(published, paths=(), wanted=1))
    assert "Its setting is that of a paper" in text
    assert text.count("accuracy 90.0") == 1
