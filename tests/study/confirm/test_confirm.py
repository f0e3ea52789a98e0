"""A confirmation from a finished toy study to its verdict; Ray takes part in one test only."""

import json

import pytest
from click.testing import CliRunner

from raylt import cli, datasets, recipe
from raylt.study.confirm import candidates, confirm
from raylt.study.report import best, status
from raylt.study.report.charts import class_changes, html, png
from raylt.study.verdict import confirmation, test_openings
from tests.study.confirm.made import Now, options, settings, starts
from tests.study.report.made import text_of


def test_a_better_setting_is_called_better_on_seeds_that_the_search_has_not_seen(toy):
    confirmed = toy.confirm()
    (candidate,) = confirmed.candidates
    assert confirmed.seeds == (1, 2, 3, 4, 5)
    assert (candidate.runs.trial, candidate.verdict.word) == (1, "better")
    assert candidate.verdict.p_holm == 1 / 32
    # 0.2 better, but for rounding to fortieths.
    assert candidate.verdict.mean == pytest.approx(0.2, abs=0.02)
    assert candidate.promised == pytest.approx(0.2)
    assert candidate.kept == pytest.approx(0.2)
    assert candidate.paid.groups["few"].mean == pytest.approx(0.2, abs=0.02)
    assert (confirmed.openings, confirmed.exit_code) == (1, 0)
    assert set(confirmed.baseline.test) == {"1", "2", "3", "4", "5"}
    text = confirmation.text(confirmed)
    assert "trial 1 (temperature=0.3 prune=0.5): better, +" in text
    assert "Test set opened 1x" in text


def test_who_paid_is_drawn_from_the_test_images_that_were_opened(toy):
    assert class_changes.chart(toy.open()).body is None
    confirmed = toy.confirm()
    study = toy.open()
    chart = class_changes.chart(study)
    assert "on the test images, means over 5 seeds" in chart.caption
    changes = confirmed.candidates[0].paid.classes
    bars = [
        (y, *interval)
        for mark in chart.body[0].marks
        for y, interval in zip(mark.y, mark.intervals, strict=True)
    ]
    assert sorted(bars) == sorted((100 * c.mean, 100 * c.low, 100 * c.high) for c in changes)
    assert png.png(chart).startswith(b"\x89PNG")
    (trace, *_) = html.drawing(chart)["data"]
    assert all(length >= 0 for length in trace["error_y"]["array"])
    # To draw is not to open.
    assert len(test_openings.openings(study)) == 1


def test_what_is_known_is_shown_again_without_ray_and_is_no_new_opening(toy):
    first = toy.confirm()
    again = toy.confirm()
    assert again == first
    assert len(toy.calls) == 1
    assert starts(toy.folder) == (10, 10)
    kept = confirmation.stored(toy.open())
    assert kept["candidates"][0]["verdict"]["word"] == "better"


def test_an_interrupted_confirmation_goes_on_where_it_was(toy):
    toy.stop_after = 4
    confirmed = toy.confirm()
    assert (confirmed.interrupted, confirmed.exit_code, confirmed.openings) == (True, 130, 0)
    assert "raylt confirm toy" in confirmation.text(confirmed)
    assert confirmation.stored(toy.open()) is None
    toy.stop_after = None
    assert toy.confirm().candidates[0].verdict.word == "better"
    assert starts(toy.folder) == (10, 10)


def test_a_study_that_holds_nothing_out_is_confirmed_on_the_test_images(study, tmp_path, toy):
    made = study(
        "study.name=whole",
        "data.validation=0",
        "study.objective=train/loss",
        "study.trials=2",
        "study.scheduler={name: none}",
        "method.temperature=0.3",
        "method.prune=0.5",
        "optimizer.lr={low: 0.1, high: 1.0}",
        "study.baseline.values={optimizer.lr: 0.5}",
    )
    Now(settings(tmp_path)).trials(made)
    data = recipe.dataset(made.space.fixed)
    made.note("fingerprint", datasets.load(data, tmp_path).fingerprint)
    made.close()
    confirmed = confirm.confirm("whole", settings(tmp_path), options())
    (candidate,) = confirmed.candidates
    # The fake's scores do not depend on the learning rate.
    assert candidate.verdict.word == "not shown"
    assert (candidate.promised, candidate.kept, candidate.dropped) == (None, None, None)
    assert (confirmed.metric, confirmed.retrain, confirmed.openings) == (
        "test/accuracy",
        "split",
        1,
    )
    assert "whole" in confirmation.text(confirmed)


def test_the_command_prints_the_verdict_and_leaves_with_its_code(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "Options", lambda **given: options(**given))
    words = ["confirm", "toy", "--runs", str(tmp_path / "runs"), "--data", str(tmp_path / "data")]
    shown = CliRunner().invoke(cli.commands, [*words, "--top", "1", "--seeds", "5"])
    assert shown.exit_code == 0, shown.output
    assert "better, +" in shown.output
    shown = CliRunner().invoke(cli.commands, [*words, "--top", "1", "--seeds", "5", "--json"])
    assert json.loads(shown.output)["candidates"][0]["verdict"]["word"] == "better"


def test_more_seeds_run_only_the_new_ones_and_are_a_second_opening(toy):
    toy.confirm()
    confirmed = toy.confirm(seeds=7)
    assert starts(toy.folder) == (14, 14)
    looks = [p.read_text().split() for p in toy.folder.glob("confirm/trials/*/looks.txt")]
    assert all(item == ["look"] for item in looks)
    assert (confirmed.openings, confirmed.candidates[0].verdict.seeds) == (2, 7)
    first, second = test_openings.openings(toy.open())
    assert set(first.recipes) < set(second.recipes)
    assert "@" in first.who


def test_every_result_tells_of_the_confirmation_and_the_openings(toy):
    record = toy.open()
    assert "Test set never opened" in best.best_text(record)
    assert "raylt confirm toy" in best.best_text(record)
    toy.confirm()
    record = toy.open()
    assert "Test set opened 1x" in best.best_text(record)
    assert "Trial 1 is confirmed: better than the baseline, +" in best.best_text(record)
    assert best.best(record)["test_openings"] == 1
    assert best.best(record)["confirmation"]["metric"] == "test/accuracy"
    result = status.study("toy", toy.folder.parent)
    assert result["test_openings"] == 1
    assert "Test set opened 1x" in text_of(status.study_parts(result))


def test_what_weakens_a_verdict_is_said_with_it(toy):
    record = toy.open()
    facts = {"floor/neighbour/accuracy": 0.999}
    record.note("floor", facts)
    record.note("data", {"counts": {"test": [3] * 10}, "copies": "2 pictures are in both"})
    record.close()
    text = confirmation.text(toy.confirm())
    assert "One of the 30 test images is worth 3.3 points of accuracy" in text
    assert "2 pictures are in both." in text
    assert "No trial beats the raw pixels: " in text
