import pytest

from raylt.study.record import text as brief


def test_columns_are_short_but_never_alike():
    assert brief.short(("method.lr", "optimizer.lr", "epochs")) == (
        "method.lr",
        "optimizer.lr",
        "epochs",
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0s"), (59.4, "59.4s"), (61, "1m01s"), (3720, "1h02m")]
)
def test_durations_have_two_units(seconds, text):
    assert brief.duration(seconds) == text


def test_hours_that_nobody_knows_are_a_dash():
    assert [brief.hours(count) for count in (None, 0.0, 12.3456)] == ["-", "0", "12.3"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0.00001, "<0.0001"),
        (0.0004, "0.0004"),
        (0.000412345, "0.0004"),
        (0.012345, "0.0123"),
        (0.25, "0.25"),
        (999.7, "1000"),
        (123456.7, "123457"),
    ],
)
def test_hours_have_few_digits_and_no_exponent(count, text):
    assert brief.hours(count) == text


def test_accuracies_are_told_and_a_loss_only_where_nothing_is_held_out():
    metrics = {"train/loss": 1.23456, "lr": 0.1, "val/few": 0.5, "val/accuracy": 0.75}
    assert brief.scores(metrics) == ["accuracy 75.0", "few 50.0"]
    assert brief.scores({"train/loss": 1.23456, "lr": 0.1}) == ["train/loss 1.235"]
    assert brief.scores({}) == []


def test_a_difference_has_its_sign_and_zero_has_none_of_its_own():
    differences = (0.0123, -0.5, -0.0001, None)
    assert [brief.points(x) for x in differences] == ["+1.2", "-50.0", "+0.0", "-"]
    assert brief.interval(-0.01, 0.02) == "[-1.0, +2.0]"
    assert brief.interval(None, None) == ""


def test_names_stand_in_a_sentence():
    assert [brief.listed(names) for names in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert brief.as_sentence("nothing is judged yet") == "Nothing is judged yet."


@pytest.mark.parametrize(
    ("metric", "gap", "message"),
    [("val/few", 0.0123, "+1.2 points in few"), ("train/loss", -0.5, "-0.5 in train/loss")],
)
def test_a_lead_is_in_the_unit_of_its_metric(metric, gap, message):
    assert brief.lead(metric, gap) == message


def test_classes_that_no_image_is_held_out_of_are_named():
    names = [f"class {k}" for k in range(20)]
    counts = {"train": [3] * 20, "validation": [1] * 5 + [0] * 15, "test": [0] * 20}
    (line,) = brief.unseen_classes(counts, names)
    assert line.startswith("warning: no validation image is of 15 of the 20 classes")
    assert line.endswith("'class 16' and 3 more")
    assert brief.unseen_classes({"validation": [1] * 20}, names) == []
    assert brief.unseen_classes({}, ()) == []


def test_few_validation_images_are_said():
    assert brief.small_sample([]) is None
    assert brief.small_sample([10] * 10) is None
    words = brief.small_sample([10] * 4)
    assert "One of the 40 validation images is worth 2.5 points of accuracy: diff" in words
    assert "differences of less than 5 points are noise" in words


def test_an_image_of_a_small_class_is_worth_more_for_classes_count_alike():
    # The mean of three class accuracies, one of which goes in steps of a half.
    assert brief.worth([10, 5, 2]) == pytest.approx(100 / 6)
    # A class without an image has no accuracy.
    assert brief.worth([10, 5, 0]) == 10
    words = brief.small_sample([10, 5, 2])
    assert "17 validation images is worth up to 16.7 points" in words
    assert "the smallest has 2): differences of less than 33.3 points are noise" in words
    assert "up to 16.7 points" in brief.small_sample([1000, 1000, 2])


def test_a_study_has_the_images_of_each_class_and_an_old_one_those_of_all():
    facts = {"validation": 17, "data": {"counts": {"validation": [10, 5, 2], "test": [3, 3, 3]}}}
    assert brief.images_by_class(facts) == [10, 5, 2]
    assert brief.images_by_class(facts, "test") == [3, 3, 3]
    assert brief.images_by_class({"validation": 17}) == [17]
    assert brief.images_by_class({}, "test") == ()
