"""How a confirmation is stored and how it reads; test_confirm.py makes one from real runs."""

import dataclasses
import json

import numpy as np
import pytest

from raylt.study.verdict import answer, class_changes, confirmation, significance, test_openings
from raylt.study.verdict.answer import SeedResults
from raylt.study.verdict.confirmation import Candidate, Confirmation
from tests.study import made

SEEDS = (100, 101, 102, 103, 104)


def results(role, accuracies, *, trial=0, failures=()):
    """A setting's results; the accuracies are those of the first seeds."""
    test = {
        str(seed): {"test/accuracy": accuracy, "test/few": accuracy / 2}
        for seed, accuracy in zip(SEEDS, accuracies, strict=False)
    }
    return SeedResults(
        trial=trial,
        role=role,
        point={"method.prune": 0.5},
        test=test,
        validation={},
        failures=dict(failures),
    )


def candidate(differences, **changes):
    (verdict,) = significance.judge([differences], out_of_race=[False], level=0.05)
    values = {
        "runs": results("candidate", [0.8 + d for d in differences], trial=3),
        "verdict": verdict,
        "dropped": None,
        "promised": 0.06,
        "kept": 0.04,
        "paid": None,
    }
    return Candidate(**values | changes)


def confirmed(*candidates, **changes):
    values = {
        "study": "made",
        "metric": "test/accuracy",
        "level": 0.05,
        "seeds": SEEDS,
        "retrain": "split",
        "baseline": results("baseline", [0.8] * 5),
        "candidates": candidates or (candidate([0.03, 0.05, 0.04, 0.02, 0.06]),),
        "openings": 1,
        "test_openings": "test set opened 1x, last 2026-01-02 by me@here",
        "tracking_uri": "",
        "notices": ("A notice.",),
        "interrupted": False,
    }
    return Confirmation(**values | changes)


def test_a_verdict_reads_from_its_difference_to_the_openings():
    lines = confirmation.text(confirmed()).splitlines()
    assert lines[0] == (
        "made: a candidate against the baseline, test/accuracy over the seeds "
        "100, 101, 102, 103, 104"
    )
    assert lines[1] == "Chance of a false 'better': 0.05"
    assert "baseline, trial 0: accuracy 80.0, few 40.0" in lines
    (verdict,) = (line for line in lines if line.startswith("trial 3"))
    assert verdict.startswith("trial 3 (prune=0.5): better, +4.0 points [+")
    assert verdict.endswith("p 0.031")
    assert "  accuracy 84.0, few 42.0" in lines
    led = "  on validation it led by +6.0 in the search, and by +4.0 over fresh seeds"
    assert led in lines
    assert lines[-2:] == ["Test set opened 1x, last 2026-01-02 by me@here.", "A notice."]


def test_what_the_words_rest_on_is_said_where_both_stand():
    text = confirmation.text(confirmed())
    assert "The word is by p, of the gain or loss seen over seeds, after Holm's" in text
    assert "told by 95 % intervals over test images" not in text
    paid = class_changes.compare(
        np.array([[0, 0, 0]]), np.array([[0, 0, 1]]), np.array([0, 0, 1]), [9, 3]
    )
    text = confirmation.text(confirmed(candidate([0.03] * 5, paid=paid)))
    assert "told by 95 % intervals over test images" in text
    assert "bold in a table is a test over seeds" in text


def test_what_is_not_shown_says_how_many_seeds_would_show_it():
    text = confirmation.text(confirmed(candidate([0.03, -0.01, 0.04, 0.02, -0.01])))
    assert "not shown, +1.4 points" in text
    assert "more seeds would show a lead of this size" in text
    far = confirmation.text(confirmed(candidate([0.03, -0.03, 0.04, 0.01, -0.04])))
    assert "a lead of this size needs more than 40 seeds, the limit" in " ".join(far.split())


def test_who_left_the_race_and_who_has_no_pair_is_said():
    dropped = candidate([-0.03] * 3, dropped=3, kept=None)
    lonely = candidate([], kept=None)
    text = confirmation.text(confirmed(dropped, lonely))
    assert "2 candidates against the baseline" in text
    assert "false 'better' over all of them: 0.05" in text
    assert "left the race after 3 seeds, behind on validation" in text
    assert "not shown; no seed with both results" in text
    assert "led by" not in text


def test_the_seeds_of_one_that_left_the_race_are_those_after_which_it_left():
    left = candidate([-0.03] * 3, dropped=3, kept=-0.03)
    (row,) = confirmation.rows(json.loads(json.dumps(dataclasses.asdict(confirmed(left)))))
    assert dict(zip(confirmation.HEADS, row, strict=True))["seeds"] == "left after 3"


def test_an_interval_above_zero_beside_what_is_not_shown_is_explained():
    text = confirmation.text(confirmed(candidate([0.021, 0.019, 0.02])))
    assert "not shown, +2.0 points" in text
    text = " ".join(text.split())
    assert "p decides, for the interval is too short over few seeds and not corrected" in text


def test_the_best_epoch_and_the_pool_are_explained():
    plain = confirmation.text(confirmed())
    assert "best/..." not in plain
    assert confirmation.POOL[1:] not in plain
    other = confirmation.text(confirmed(metric="test/best/accuracy", retrain="pool"))
    assert "best/... is after the epoch that validation chose" in other
    assert confirmation.POOL[1:] in other


def test_who_paid_is_named_with_the_class_sizes():
    labels = np.repeat([0, 1, 2], 50)
    before, after = np.zeros((2, 150), int), np.where(labels == 2, 2, 0)[None].repeat(2, 0)
    changes = class_changes.compare(before, after, labels, (500, 60, 5), ["a", "b", "cat"])
    text = confirmation.text(confirmed(candidate([0.1] * 5, paid=changes)))
    assert changes.sentence in text
    assert "classes that gained most: cat +100.0 (5 images)" in text
    assert "lost most" not in text


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"interrupted": True}, 130),
        ({"baseline": results("baseline", [0.8], failures={"101": "it broke"})}, 4),
        ({"baseline": results("baseline", [], failures={"1": "x"}), "interrupted": True}, 130),
    ],
)
def test_the_exit_code_says_whether_runs_failed_or_are_left(changes, code):
    assert confirmed(**changes).exit_code == code


def test_a_failed_run_is_told_and_an_interrupted_one_goes_on():
    broken = results("baseline", [0.8], failures={"101": "it broke"})
    assert "  seed 101 failed: it broke" in confirmation.text(confirmed(baseline=broken))
    text = confirmation.text(confirmed(interrupted=True))
    assert text == "Interrupted; go on with: raylt confirm made"


def test_without_a_best_trial_nothing_is_asked(tmp_path):
    study = made.study(tmp_path, trials=1, failed=(0,), tables=False)
    assert len(confirmation.brief(study)) == 1


def test_while_trials_run_nothing_is_asked(tmp_path, monkeypatch):
    study = made.study(tmp_path, trials=4, stopped=(), failed=(), tables=False)
    *ended, last = study.outcomes()
    running = (*ended, dataclasses.replace(last, state="running"))
    monkeypatch.setattr(study, "outcomes", lambda: running)
    assert len(confirmation.brief(study)) == 1


def test_it_is_kept_whole_and_every_result_of_the_study_tells_of_it(tmp_path):
    study = made.study(tmp_path, stopped=(), failed=(), tables=False)
    assert confirmation.stored(study) is None
    assert confirmation.summary(study) is None
    words = f"Is it really better? raylt confirm made --runs {tmp_path}"
    assert confirmation.brief(study)[1] == words
    test_openings.open_test(study, ["a"])
    result = confirmed()
    (study.folder / answer.FOLDER).mkdir()
    answer.store(study, result)
    assert confirmation.stored(study) == json.loads(json.dumps(dataclasses.asdict(result)))
    summary = confirmation.summary(study)
    assert (summary["metric"], summary["seeds"]) == ("test/accuracy", list(SEEDS))
    (verdict,) = summary["verdicts"]
    assert (verdict["trial"], verdict["word"], verdict["dropped"]) == (3, "better", None)
    opened, line = confirmation.brief(study)
    assert opened.startswith("Test set opened 1x")
    assert line == (
        "Trial 3 is confirmed: better than the baseline, +4.0 points in test/accuracy over 5 "
        "fresh seeds (p 0.031)"
    )
    assert not list(study.folder.rglob("*.draft"))


def test_a_loss_has_the_p_value_of_a_loss():
    result = confirmed(candidate([-0.03, 0.01, -0.04, -0.02, -0.06]))
    assert "not shown, -2.8 points" in confirmation.text(result)
    assert "p 0.062" in confirmation.text(result)
    (row,) = confirmation.rows(json.loads(json.dumps(dataclasses.asdict(result))))
    assert dict(zip(confirmation.HEADS, row, strict=True))["p"] == "0.062"
