"""What the charts of a search share."""

import pytest

from raylt.study.report.charts import parts
from tests.study import made
from tests.study.search.made import result, searcher


def test_kinds_of_trials_look_different_and_every_trial_is_marked_once_but_the_best(record):
    ranking = record.ranking()
    marks = parts.trial_marks(
        record.outcomes(), ranking[0], x=lambda trial: trial.number, y=lambda trial: trial.epoch
    )
    numbers = {mark.name: set(mark.x) for mark in marks}
    kinds = ["not finished", "stopped early", "finished", "baseline"]
    assert list(numbers) == [*kinds, "best"]
    assert numbers["not finished"] == {3}  # It failed.
    assert numbers["baseline"] == {0}
    assert numbers["best"] == {ranking[0].number}
    assert numbers["stopped early"] == {5, 7, 8}
    alone = [numbers[kind] for kind in kinds]
    assert sum(map(len, alone)) == len(set.union(*alone)) == len(record.outcomes())
    (best,) = marks[-1].hover
    assert best.startswith(f"trial {ranking[0].number} (complete, epoch 6), temperature ")


def test_a_trial_that_nobody_drives_was_not_stopped_and_its_baseline_is_no_level(study):
    begun = study()
    search = searcher(begun)
    for trial_id in "tu":
        search.suggest(trial_id)
        search.started(trial_id)
        search.on_trial_result(trial_id, result(1))
    marks = parts.trial_marks(begun.ranking(), None, x=lambda t: t.number, y=lambda t: t.epoch)
    assert [(mark.name, mark.x) for mark in marks] == [("not finished", (1,)), ("baseline", (0,))]
    (pixels,) = parts.reference_lines(begun, metric="val/accuracy", width=1.0)
    assert pixels.name.startswith("floor of raw pixels")


def test_reference_lines_are_the_baseline_and_the_better_classifier_of_raw_pixels(record):
    baseline, pixels = parts.reference_lines(record, metric="val/accuracy", width=11.0)
    level = 100 * record.baseline().last["val/accuracy"]
    assert baseline.y == pytest.approx((level, level))
    assert baseline.name == f"baseline ({level:.1f})"
    assert pixels.y == pytest.approx((45.0, 45.0))  # the logistic one, not the neighbour's 42
    assert baseline.x == pixels.x == (0.0, 11.0)
    assert baseline.dash != pixels.dash


def test_what_is_not_known_is_no_line(record, tmp_path):
    assert parts.pixel_line(record, metric="val/knn", width=1.0) == ()
    bare = made.study(tmp_path, trials=1, failed=(0,), tables=False)
    (pixels,) = parts.reference_lines(bare, metric="val/accuracy", width=1.0)
    assert pixels.name.startswith("floor of raw pixels")


def test_accuracies_are_drawn_in_per_cent():
    assert parts.axis_title("val/thirds/few") == "thirds/few (%)"
    assert parts.scaled("val/few", 0.25) == 25
    assert parts.axis_title("train/loss") == "train/loss"
    assert parts.scaled("train/loss", 0.25) == 0.25


def test_long_times_are_in_hours():
    assert parts.time_unit(7200) == ("minutes", 60.0)
    assert parts.time_unit(7201) == ("hours", 3600.0)


def test_a_choice_stands_at_its_place_and_a_number_at_its_value(record):
    leaves = {leaf.path: leaf for leaf in record.space.leaves}
    depth, prune = leaves["method.head_depth"], leaves["method.prune"]
    assert parts.choice_names(depth) == ("2", "3")
    assert [parts.position(depth, value) for value in (2, 3)] == [0, 1]
    assert parts.choice_names(prune) == ()
    assert parts.position(prune, 0.3) == 0.3
