"""The greedy path over made-up scores, without a study."""

import itertools
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylt.study.ablate.path import Taken, walk
from raylt.study.confirm.race import Race

NAMES = ("a", "b", "c")
SEEDS = (1, 2, 3, 4, 5, 6)


class Table:
    """Runs whose scores stand in a table; those that were never asked for are not there."""

    def __init__(self, score):
        self.score, self.there = score, set()

    def is_open(self, setting, seed):
        return (setting, seed) not in self.there

    def finished(self, setting, seeds):
        return {
            seed: types.SimpleNamespace(last={"val/accuracy": self.score(setting, seed)})
            for seed in seeds
            if (setting, seed) in self.there
        }


def trained(score, *, early, names=NAMES, refused=(), there=()):
    """The path, and how many runs there are then."""
    runs = Table(score)
    runs.there |= set(there)
    race = Race(None, runs, "val/accuracy", (), SEEDS, validated=True)

    def at(taken):
        return None if taken in refused else taken

    while True:
        path, left = walk(race, names, at, early=early)
        if not left:
            return path, len(runs.there)
        assert any(runs.is_open(*run) for run in left)
        runs.there |= set(left)


def slow_path(score, names):
    """The greedy path by trying every change at every step."""
    taken, order = Taken(), []
    while len(taken) < len(names):
        rest = [name for name in names if name not in taken]
        best = max(rest, key=lambda n: sum(score(taken | {n}, s) for s in SEEDS))
        order.append(best)
        taken |= {best}
    return order


scores = st.lists(st.integers(0, 10**6), min_size=8, max_size=8, unique=True)


@given(scores)
def test_without_a_race_it_is_the_path_of_trying_everything(values):
    sets = [Taken(c) for n in range(4) for c in itertools.combinations(NAMES, n)]
    table = dict(zip(sets, values, strict=True))

    def score(setting, seed):
        return table[setting] / 10**6

    path, runs = trained(score, early=False)
    assert [choice.taken for choice in path] == [(name,) for name in slow_path(score, NAMES)]
    total = sum(choice.gains[" + ".join(choice.taken)] for choice in path)
    assert total == pytest.approx(score(Taken(NAMES), 1) - score(Taken(), 1))
    # The baseline, the three alone, two of the pairs, and the winner.
    assert runs == 7 * len(SEEDS)
    # Scores that no seed moves: whoever is behind in the first three seeds is behind for good.
    raced, fewer = trained(score, early=True)
    assert [choice.taken for choice in raced] == [choice.taken for choice in path]
    assert fewer < runs
    assert raced[0].dropped == {name: 3 for name in NAMES if (name,) != raced[0].taken}
    # Where every run is there, a race saves nothing, and nobody leaves it.
    assert trained(score, early=True, there=itertools.product(sets, SEEDS)) == (path, 48)


def test_changes_that_cannot_be_taken_over_alone_are_taken_over_together():
    refused = {Taken("a"), Taken("b")}
    path, _ = trained(lambda setting, seed: len(setting), early=False, names="ab", refused=refused)
    assert [choice.taken for choice in path] == [("a", "b")]
