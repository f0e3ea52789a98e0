import pytest

from benchmarks import played, sampling
from benchmarks.laws import BASELINE, EPOCHS, NOISE, Folded, Law
from benchmarks.played import Slot

BEST = {
    "method.temperature": 0.2,
    "method.prune": 0.7,
    "method.own_norms": True,
    "optimizer.lr": 0.1,
    "method.random_share": 0.2,
}
FAIR = {**BASELINE, "method.temperature": 0.2, "optimizer.lr": 0.15}


def ended(point, *, epoch=EPOCHS, failed=False, number=0):
    slot = Slot(str(number), point, "sampled")
    slot.epoch, slot.failed = epoch, failed
    return slot


def test_the_best_setting_of_a_law_is_the_one_it_says():
    law = Law()
    assert law.final(BEST) == pytest.approx(0.9)
    for path, value in {
        "method.temperature": 0.3,
        "method.prune": 0.6,
        "optimizer.lr": 0.2,
        "method.own_norms": False,
        "method.random_share": 0.3,
    }.items():
        assert law.final({**BEST, path: value}) < 0.9


def test_the_most_accurate_settings_break_the_constraint_and_some_better_ones_keep_it():
    law = Law(bound=True)
    assert not law.kept(BEST, 0)
    assert law.kept(BASELINE, 0)
    assert law.kept(FAIR, 0)
    assert law.final(BASELINE) < law.final(FAIR) < law.final(BEST)


def test_a_folded_law_takes_one_from_the_score_of_what_breaks_the_constraint():
    law = Folded(bound=True)
    for point, price in ((BEST, 1), (FAIR, 0)):
        result = law.reported(point, EPOCHS, 0)
        assert result["score"] == result["val/accuracy"] - price
    first = law.reported(FAIR, 1, 0)
    assert first["val/many"] < law.floor(0)
    assert first["score"] == first["val/accuracy"] - 1


def test_a_search_hands_over_the_best_that_keeps_the_constraint():
    law = Law(bound=True)
    many = ended(BEST), ended(FAIR), ended(BASELINE), ended(BEST, epoch=2, failed=True)
    result = played.outcome(many, law, 0)
    assert result.best == law.final(FAIR)
    assert result.kept == pytest.approx(2 / 3)
    assert result.epochs == 3 * EPOCHS + 2
    assert played.outcome([ended(BEST)], law, 0).best == law.final(BASELINE)


def test_a_whole_trial_is_chosen_before_one_that_was_stopped():
    law = Law()
    assert law.final(BEST) > law.final(BASELINE) + 10 * NOISE
    assert played.outcome([ended(BEST, epoch=9), ended(BASELINE)], law, 0).best == law.final(
        BASELINE
    )


def test_both_sides_begin_with_the_same_draws():
    """Up to the tenth trial nothing is modelled, so nothing that they are told can matter."""
    law = Law(bound=True)
    ours = played.truthful(3, 8, scheduler="{name: asha, grace: 9}", law=law)
    theirs = played.rays_own(3, 8, law=law, grace=9)
    assert ours == theirs
    assert ours.trials == 8


def test_a_row_counts_the_pairs_and_gives_their_mean_with_an_interval_around_it():
    row = sampling.row("toy", [0.9, 0.8, 0.85, 0.7], [0.8, 0.8, 0.8, 0.75])
    name, ours, theirs, gap, ends, counted = (cell.strip() for cell in row.strip("| ").split("|"))
    assert (name, ours, theirs, gap) == ("toy", "81.25", "78.75", "**+2.50**")
    low, high = map(float, ends.split(" ... "))
    assert low < 2.5 < high
    assert counted == "2 won, 1 equal, 1 lost"
