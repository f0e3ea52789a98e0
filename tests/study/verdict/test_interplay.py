import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.study.verdict.interplay import estimate, interplay

seeds = st.dictionaries(st.integers(1, 8), st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1)


def slow_mean(whole, parts):
    """Seed by seed, from its sentence."""
    left = []
    for seed in range(1, 9):
        if seed in whole and all(seed in part for part in parts):
            rest = whole[seed]
            for part in parts:
                rest -= part[seed]
            left.append(rest)
    return (sum(left) / len(left), len(left)) if left else None


@given(seeds, st.lists(seeds, max_size=4))
def test_it_is_the_mean_of_what_is_left_at_each_common_seed(whole, parts):
    result, expected = interplay(whole, parts), slow_mean(whole, parts)
    if expected is None:
        assert result is None
    else:
        assert (result.mean, result.seeds) == (pytest.approx(expected[0]), expected[1])
        assert result.low is None or result.low <= result.mean + 1e-9 <= result.high + 2e-9


@given(st.lists(seeds, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_changes_that_add_up_leave_nothing_whatever_their_order(parts, rng):
    whole = {seed: sum(part.get(seed, 0) for part in parts) for seed in range(1, 9)}
    result = interplay(whole, rng.sample(parts, len(parts)))
    if result is not None:
        assert result.mean == pytest.approx(0, abs=1e-12)


@given(seeds)
def test_without_parts_it_is_the_whole(whole):
    assert interplay(whole, []) == estimate(list(whole.values()))


def test_an_interval_says_whether_it_is_sure():
    assert not estimate([0.1]).sure
    assert estimate([0.1, 0.2, 0.15] * 2).sure
    assert not estimate([-0.1, 0.2, 0.05] * 2).sure
    # Three differences of one sign are luck one time in four.
    assert not estimate([0.1, 0.2, 0.15]).sure
    assert estimate([]) is None
