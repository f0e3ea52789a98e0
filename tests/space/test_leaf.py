from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.space import Leaf

bounds = st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).map(sorted)


whole_bounds = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)).map(sorted)


def ranged(
    low: float, high: float, *, log: bool, step: float | None, complement: bool = False
) -> Leaf:
    return Leaf("x", low, high, log=log, complement=complement, step=step)


@given(bounds | whole_bounds, st.booleans(), st.integers())
def test_draws_stay_within_inclusive_ends(pair: list[float], log: bool, seed: int) -> None:
    leaf = ranged(*pair, log=log, step=None)
    rng = random.Random(seed)
    for _ in range(20):
        value = leaf.draw(rng)
        assert leaf.admits(value)
        assert type(value) is type(pair[0])


@given(st.floats(0, 0.9999), st.floats(0, 0.9999), st.integers())
def test_draws_towards_one_are_even_in_the_logarithm_of_the_rest(
    first: float, other: float, seed: int
) -> None:
    low, high = sorted((first, other))
    leaf = ranged(low, high, log=False, step=None, complement=True)
    rng = random.Random(seed)
    assert all(leaf.admits(leaf.draw(rng)) for _ in range(20))


def test_as_many_draws_are_sparser_than_a_tenth_as_lie_in_the_decade_before() -> None:
    leaf = ranged(0.0, 0.99, log=False, step=None, complement=True)
    rng = random.Random(0)
    sparse = sum(leaf.draw(rng) > 0.9 for _ in range(4000))
    assert abs(sparse / 4000 - 0.5) < 0.03
    assert str(leaf) == "0 to 0.99 (log of 1 - it)"


@given(
    st.integers(-50, 50),
    st.integers(1, 9),
    st.integers(1, 30),
    st.integers(),
    st.sampled_from([1, 0.1, 0.25]),
)
def test_draws_keep_to_the_grid_and_reach_both_ends(
    start: int, step: int, count: int, seed: int, unit: float
) -> None:
    low, width = start * unit, step * unit
    leaf = ranged(low, low + count * width, log=False, step=width)
    rng = random.Random(seed)
    seen = {leaf.draw(rng) for _ in range(40 * (count + 1))}
    assert all(leaf.admits(value) for value in seen)
    assert len(seen) <= count + 1
    assert min(seen) == leaf.low  # type: ignore[type-var]
    assert max(seen) == pytest.approx(leaf.high)  # type: ignore[type-var]


def test_a_log_draw_is_even_in_the_logarithm() -> None:
    leaf = ranged(0.01, 100.0, log=True, step=None)
    rng = random.Random(0)
    below = sum(leaf.draw(rng) < 1 for _ in range(4000)) / 4000  # type: ignore[operator]
    assert below == pytest.approx(0.5, abs=0.04)


def test_a_log_draw_of_whole_numbers_gives_each_its_width() -> None:
    leaf = ranged(1, 4, log=True, step=None)
    rng = random.Random(0)
    seen = [leaf.draw(rng) for _ in range(8000)]
    total = math.log(4.5 / 0.5)
    for k in (1, 2, 3, 4):
        share = math.log((k + 0.5) / (k - 0.5)) / total
        assert seen.count(k) / 8000 == pytest.approx(share, abs=0.03)
