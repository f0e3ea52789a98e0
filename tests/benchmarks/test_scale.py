import pytest

from benchmarks.scale import Clock


def clock(cost, *, pieces=400):
    made = Clock(trials=pieces)
    made.spent["work"] = [(done, cost(done)) for done in range(pieces)]
    return made


def test_a_cost_that_grows_is_followed_past_the_end():
    made = clock(lambda done: 0.002 + 1e-6 * done)
    assert made.at("work", 100_000) == pytest.approx(102.0, rel=1e-3)
    assert made.quarters("work") == pytest.approx([2.05, 2.15, 2.25, 2.35], rel=1e-2)


def test_a_break_now_and_then_is_no_trend():
    made = clock(lambda done: 0.002 + (0.5 if done in (5, 250, 390) else 0.0))
    assert made.at("work", 100_000) == pytest.approx(2.0)


def test_a_cost_that_falls_is_not_followed_below_what_it_was():
    assert clock(lambda done: 0.002 - 1e-6 * done).at("work", 100_000) > 1.5


def test_few_pieces_tell_no_trend():
    made = clock(lambda done: 0.001 * done, pieces=11)
    assert made.at("work", 100_000) == pytest.approx(5.0)
