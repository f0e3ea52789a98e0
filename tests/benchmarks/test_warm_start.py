import pytest

from benchmarks import trainings, warm_start
from benchmarks.trainings import Trainings
from benchmarks.warm_start import Pair


@pytest.fixture
def asked(monkeypatch):
    """The recipes of trainings that take no time: the closer the learning rate is to 0.1 and the
    temperature to 0.1, the better."""
    recipes = []

    def train(of, folder):
        recipes.append(of)
        missed = abs(of.optimizer.lr - 0.1) + abs(of.method.temperature - 0.1)
        return {"val/accuracy": 1 / (1 + missed)}

    monkeypatch.setattr(trainings.made, "trained", train)
    return recipes


def test_the_first_trial_at_the_goal_counts_and_a_search_that_misses_it_one_more_than_all():
    cold = [0.1, 0.5, 0.5, 0.8]
    assert Pair(warm=[0.2, 0.8, 0.9, 0.9], cold=cold).trials_to_goal() == (2, 4)
    assert Pair(warm=[0.2, 0.7, 0.7, 0.79], cold=cold).trials_to_goal() == (5, 4)
    assert Pair(warm=[0.6] * 4, cold=[0.6] * 4).trials_to_goal() == (1, 1)


def test_the_test_is_on_the_side_of_the_question():
    fewer, more = [3.0] * 6, [9.0] * 6
    assert warm_start.row("toy", fewer, more, sign=-1) == (
        "| toy | 3.0 | 9.0 | **-6.0** | -6.0 ... -6.0 | 0.016 |"
    )
    assert warm_start.row("toy", fewer, more, sign=1).endswith("| 1.000 |")


def test_the_table_has_the_goal_and_both_accuracies_of_each_question():
    pair = Pair(warm=[0.5, 0.6, 0.6, 0.6], cold=[0.4, 0.4, 0.4, 0.7])
    lines = warm_start.table([[pair, pair]] * 5, 4)
    rows = [line for line in lines[2:] if line.startswith("| near")]
    assert len(lines) == 2 + 2 * 3
    assert len(rows) == 1
    assert "trials to the goal, which 5 of 5 warm searches miss | 5.0 | 4.0 | **+1.0**" in rows[0]
    assert "| accuracy after a quarter of the trials | 50.0 | 40.0 | **+10.0**" in lines[3]
    assert "| accuracy after all trials | 60.0 | 70.0 | **-10.0**" in lines[4]


def test_a_pair_shares_seed_and_first_trial_and_the_warm_one_goes_on_with_the_best_before(
    asked, tmp_path
):
    trials = 8
    near, far = warm_start.pairs(3, trials, Trainings(tmp_path / "kept.jsonl"))
    before, warm, cold = (asked[i * trials : (i + 1) * trials] for i in range(3))
    assert {recipe.seed for recipe in before} == {warm_start.BEFORE + 3}
    assert {recipe.data.imbalance for recipe in before} == {20}
    assert {recipe.seed for recipe in (*warm, *cold)} == {3}
    assert {recipe.data.imbalance for recipe in (*warm, *cold)} == {50}
    settings = [{(r.optimizer.lr, r.method.temperature) for r in side} for side in (before, warm)]
    # A quarter of the trials, beside the published setting that both begin with.
    assert len(settings[0] & settings[1]) == trials // 4 + 1
    assert len(near.warm) == len(far.cold) == trials
    assert near.warm == sorted(near.warm)
    assert near.warm[0] == near.cold[0]
