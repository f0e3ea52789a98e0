"""The statistics of a confirmation against slow references, known values and simulation."""

import dataclasses
import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.study.verdict import significance
from raylt.study.verdict.significance import (
    holm,
    interval,
    judge,
    seeds_needed,
    shown_p,
    sign_flip,
    smallest_p,
)

differences = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=9)


def slow_sign_flip(values):
    sums = [
        sum(sign * value for sign, value in zip(signs, values, strict=True))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    return sum(item >= sum(values) - 1e-9 for item in sums) / len(sums)


@given(differences)
def test_the_sign_flip_test_counts_every_sign_vector(values):
    assert sign_flip(values) == slow_sign_flip(values)


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([], 1),
        ([0.0, 0.0], 1),
        ([1.0], 1 / 2),
        ([0.01, 0.02, 0.03, 0.01, 0.02, 0.05], 1 / 64),
        ([-0.01] * 6, 1),
        # Only + + and + - (two of four) reach 0.03 - 0.01.
        ([0.03, -0.01], 1 / 2),
        # Fisher's example: Darwin's 15 pairs of maize, one-sided 863 of 32768.
        ([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], 863 / 32768),
    ],
)
def test_known_p_values(values, p):
    assert sign_flip(values) == p


def test_forty_seeds_are_still_exact_and_more_are_refused():
    assert sign_flip([0.5] * 40) == pytest.approx(2.0**-40, rel=1e-3)
    with pytest.raises(ValueError, match="at most 40 seeds"):
        sign_flip([0.5] * 41)


@given(differences, st.randoms(use_true_random=False))
def test_order_and_unit_do_not_matter(values, rng):
    shuffled = rng.sample(values, len(values))
    assert sign_flip(shuffled) == sign_flip(values)
    assert sign_flip([100 * x for x in values]) == sign_flip(values)


@given(differences)
def test_no_p_value_is_below_the_smallest_and_both_sides_overlap(values):
    up, down = sign_flip(values), sign_flip([-x for x in values])
    assert up >= smallest_p(len(values), two_sided=False)
    # The observed sum is counted on both sides.
    assert up + down >= 1


@pytest.mark.parametrize(
    ("seeds", "first", "two"), [(0, 1, 1), (1, 0.5, 1), (3, 0.125, 0.25), (6, 1 / 64, 1 / 32)]
)
def test_the_smallest_p_value(seeds, first, two):
    assert smallest_p(seeds, two_sided=False) == first
    assert smallest_p(seeds, two_sided=True) == two


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.5, 0.6]) == (1.0, 1.0)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_as_its_steps_do(p_values, level):
    rejected = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - rank) > level:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected
    assert all(item >= raw for item, raw in zip(holm(p_values), p_values, strict=True))


def test_the_interval_of_a_known_sample_is_bca():
    values = [0.021, 0.013, 0.034, -0.002, 0.025, 0.018]
    low, high = interval(values, confidence=0.95)
    # Read slowly: bias from the share of resamples below the mean, acceleration from a jackknife.
    rng = np.random.default_rng(1)
    draws = np.sort(rng.choice(values, (200_000, 6)).mean(1))
    normal = statistics.NormalDist()
    mean = statistics.mean(values)
    below = (np.sum(draws < mean) + np.sum(draws <= mean)) / 2 / len(draws)
    bias = normal.inv_cdf(below)
    jackknife = np.array([statistics.mean(values[:i] + values[i + 1 :]) for i in range(6)])
    away = jackknife.mean() - jackknife
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)

    def end(share):
        z = bias + normal.inv_cdf(share)
        return np.quantile(draws, normal.cdf(bias + z / (1 - acceleration * z)))

    assert low == pytest.approx(end(0.025), abs=4e-4)
    assert high == pytest.approx(end(0.975), abs=4e-4)


def test_an_end_of_zero_is_zero_to_the_last_bit():
    # A sum of these differences that is 0 comes out as -9e-19.
    assert interval([0.05, 0.03, 0.03, -0.01], confidence=0.95) == (0.0, 0.04)


@given(differences)
def test_the_interval_lies_within_the_sample_and_mirrors_it(values):
    result = interval(values, confidence=0.95)
    if len(values) == 1:
        assert result is None
    else:
        assert min(values) - 1e-9 <= result[0] <= result[1] <= max(values) + 1e-9


@pytest.mark.parametrize(("seeds", "lowest", "highest"), [(6, 0.80, 0.92), (20, 0.89, 0.97)])
def test_how_often_the_interval_holds_the_truth(monkeypatch, seeds, lowest, highest):
    monkeypatch.setattr(significance, "RESAMPLES", 999)
    rng = np.random.default_rng(seeds)
    samples = rng.normal(0.3, 1, (500, seeds))
    kept = [low <= 0.3 <= high for low, high in (interval(s, confidence=0.95) for s in samples)]
    assert lowest <= np.mean(kept) <= highest


def test_a_false_better_is_as_rare_as_promised():
    rng = np.random.default_rng(0)
    # Three candidates that are no better, judged against one baseline and so not independent.
    wrong = 0
    for _ in range(1500):
        baseline = rng.normal(size=6)
        differences = rng.normal(size=(3, 6)) - baseline
        p_values = holm([sign_flip(item) for item in differences])
        wrong += min(p_values) <= 0.05
    assert wrong / 1500 <= 0.06


def test_dropping_candidates_by_their_first_seeds_keeps_the_promise():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(1500):
        differences = rng.normal(size=(3, 6)) - rng.normal(size=6)
        dropped = differences[:, :3].mean(1) < 0
        p_values = [
            1.0 if out else sign_flip(item) for item, out in zip(differences, dropped, strict=True)
        ]
        wrong += min(holm(p_values)) <= 0.05
    assert wrong / 1500 <= 0.06


def test_seeds_needed_by_hand():
    # sd = mean: (1.645 + 0.842)^2 = 6.18 for one candidate.
    values = [1 - math.sqrt(0.5), 1 + math.sqrt(0.5)]
    assert statistics.stdev(values) == pytest.approx(1)
    assert seeds_needed(values, candidates=1, level=0.05) == 7
    assert seeds_needed(values, candidates=3, level=0.05) > 7
    # Equal differences still need enough seeds for the smallest p-value.
    assert seeds_needed([1.0, 1.0, 1.0], candidates=1, level=0.05) == 5
    assert seeds_needed([-1.0, -2.0], candidates=1, level=0.05) is None
    assert seeds_needed([1.0], candidates=1, level=0.05) is None


def test_the_verdict_in_words():
    clear, none, bad = judge(
        [[0.02, 0.03, 0.01, 0.02, 0.03, 0.04], [0.01, -0.01, 0.02, 0.0, -0.02, 0.01], [-0.03] * 6],
        out_of_race=[False, False, False],
        level=0.05,
    )
    assert (clear.word, clear.p, clear.p_holm, clear.more_seeds) == ("better", 1 / 64, 3 / 64, 0)
    assert clear.low < clear.mean < clear.high
    assert (none.word, none.seeds) == ("not shown", 6)
    assert none.more_seeds > 6
    assert (bad.word, bad.mean, bad.low, bad.more_seeds) == ("worse", -0.03, -0.03, None)
    assert (bad.p, bad.p_worse, bad.p_worse_holm) == (1, 1 / 64, 3 / 64)


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=8, max_size=8), min_size=1, max_size=4),
    st.sets(st.integers(0, 3)),
)
def test_the_p_value_that_is_shown_is_that_of_the_word_and_of_the_mirrored_difference(
    rows, failed
):
    verdicts = judge(rows, out_of_race=[False] * len(rows), failed=failed, level=0.05)
    mirrored = judge(
        [[-x for x in row] for row in rows], out_of_race=[False] * len(rows), level=0.05
    )
    for i, (verdict, mirror) in enumerate(zip(verdicts, mirrored, strict=True)):
        p = shown_p(dataclasses.asdict(verdict))
        assert (p <= 0.05) == (verdict.word != "not shown")
        assert (verdict.p_worse, verdict.p_worse_holm) == (mirror.p, mirror.p_holm)
        if verdict.mean < 0 or i in failed:
            assert verdict.word != "better"
        if verdict.mean > 0:
            assert verdict.word != "worse"


def test_who_left_the_race_is_not_called_worse_by_the_seeds_until_then():
    (left,) = judge([[-0.02] * 6], out_of_race=[True], level=0.05)
    assert (left.word, left.mean, left.p_worse, shown_p(dataclasses.asdict(left))) == (
        "not shown",
        -0.02,
        1,
        1,
    )
    (failed,) = judge([[-0.02] * 6], out_of_race=[False], failed=[0], level=0.05)
    assert (failed.word, failed.p) == ("worse", 1)


def test_who_is_out_of_the_race_still_counts_among_the_candidates():
    good = [0.02] * 5
    alone = judge([good], out_of_race=[False], level=0.05)[0]
    among = judge([good, [0.0]], out_of_race=[False, True], level=0.05)
    assert alone.word == "better"
    assert [candidate.word for candidate in among] == ["not shown", "not shown"]
    assert among[0].more_seeds == 1
    winner = judge([[0.02] * 6], out_of_race=[True], level=0.05)[0]
    assert (winner.word, winner.p) == ("not shown", 1)


def test_nothing_to_compare_shows_nothing():
    (result,) = judge([[]], out_of_race=[False], level=0.05)
    assert (result.word, result.mean, result.low, result.more_seeds) == (
        "not shown",
        None,
        None,
        None,
    )
