from dataclasses import replace

from raylt.study.verdict import floor
from tests.study.run.made import outcome

FLOOR = {
    "floor/neighbour/accuracy": 0.9,
    "floor/neighbour/few": 0.4,
    "floor/logistic/accuracy": 0.83,
    "floor/logistic/few": 0.6,
}


def test_what_raw_pixels_reach_is_a_line_for_each_classifier():
    assert floor.lines(FLOOR) == [
        "Floor (raw pixels, neighbour): accuracy 90.0, few 40.0",
        "Floor (raw pixels, logistic): accuracy 83.0, few 60.0",
    ]


def test_a_best_trial_that_pixels_beat_is_said_with_what_to_try():
    text = floor.unbeaten(FLOOR, "val/accuracy", outcome(1, 0.85), searched=True)
    assert text.startswith(
        "No trial beats the raw pixels: the best reaches accuracy 85.0 on the validation images, "
        "the nearest neighbour on the pixels 90.0."
    )
    assert "epochs=12 instead of 6" in text
    assert text.endswith("or an augmentation that leaves what tells the classes apart as it is")
    assert "\n" not in text


def test_one_training_is_not_called_the_best():
    text = floor.unbeaten(FLOOR, "val/accuracy", outcome(1, 0.85), searched=False)
    assert text.startswith("The model does not beat the raw pixels: it reaches accuracy 85.0 on ")
    assert "epochs=12 instead of 6" in text


def test_pixels_that_nothing_can_beat_are_said_to_be_too_easy():
    text = floor.unbeaten(
        {"floor/neighbour/accuracy": 1.0}, "val/accuracy", outcome(1, 1.0), searched=True
    )
    assert text.startswith("The nearest neighbour on the raw pixels reaches accuracy 100 already")
    assert "epochs" not in text


def test_each_metric_is_held_against_the_better_classifier_of_its_own():
    assert (
        "few 50.0 on the validation images, a logistic regression on the pixels 60.0"
        in floor.unbeaten(FLOOR, "val/few", outcome(1, 0.95), searched=True)
    )
    assert "accuracy 85.0" in floor.unbeaten(
        FLOOR, "val/harmonic", outcome(1, 0.85), searched=True
    )
    reached = replace(outcome(1, 0.5), last={"val/best/accuracy": 0.91, "val/accuracy": 0.5})
    assert floor.unbeaten(FLOOR, "val/best/accuracy", reached, searched=True) == ""


def test_what_beats_the_pixels_or_is_not_known_says_nothing():
    assert floor.unbeaten(FLOOR, "val/accuracy", outcome(1, 0.901), searched=True) == ""
    assert floor.unbeaten(FLOOR, "val/accuracy", None, searched=True) == ""
    assert floor.unbeaten({}, "val/accuracy", outcome(1, 0.1), searched=True) == ""
    assert (
        floor.unbeaten(
            FLOOR, "train/loss", replace(outcome(1, None), last={"train/loss": 1.0}), searched=True
        )
        == ""
    )
