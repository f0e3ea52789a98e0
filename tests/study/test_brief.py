import pytest

from raylt.study import brief


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
