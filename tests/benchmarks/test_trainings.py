import pytest

from benchmarks import trainings
from benchmarks.trainings import Trainings
from raylt.trial.fit import Diverged


def recipe(**changes):
    wanted = trainings.wanted("toy", 0, 3)
    point = {leaf.path: leaf.low for leaf in wanted.leaves}
    return wanted.at({**point, **changes})


@pytest.fixture
def trained(monkeypatch):
    """Trainings that take no time: what was asked for."""
    asked = []

    def train(of, folder):
        asked.append(of.digest)
        if of.optimizer.lr == 1.0:
            raise Diverged(1)
        return {"val/accuracy": 0.5 + of.seed / 1000}

    monkeypatch.setattr(trainings.made, "trained", train)
    return asked


def test_what_was_trained_is_not_trained_again_by_another_run(trained, tmp_path):
    file = tmp_path / "kept.jsonl"
    for _ in range(2):
        known = Trainings(file)
        assert known.accuracy(recipe()) == 0.5
        assert known.accuracy(recipe(**{"optimizer.lr": 1.0})) is None
    assert len(trained) == len(known) == 2


def test_both_of_a_pair_share_the_random_trials_at_first_and_part_then(trained, tmp_path):
    known = Trainings(tmp_path / "kept.jsonl")
    for named in ("tpe", "random"):
        trainings.searched(named, 5, 12, known)
    # All reach the same, so both confirm their first trials and hand over the very first.
    again = trainings.TOP * len(trainings.FRESH) + len(trainings.JUDGES)
    assert len(trained) == 10 + 2 + 2 + again


def test_the_chosen_setting_is_judged_by_other_seeds(trained, tmp_path):
    reached = trainings.searched("random", 7, 3, Trainings(tmp_path / "kept.jsonl"))
    assert reached.seen == 0.5 + 7 / 1000
    fresh, judges = trainings.FRESH, trainings.JUDGES
    assert reached.fresh == pytest.approx(0.5 + sum(fresh) / len(fresh) / 1000)
    assert reached.handed == pytest.approx(0.5 + sum(judges) / len(judges) / 1000)
    assert len({7, *fresh, *judges}) == 1 + len(fresh) + len(judges)


def test_confirmation_hands_over_the_best_with_fresh_seeds_of_the_best_in_the_search(
    monkeypatch, tmp_path
):
    drawn = []

    def train(of, folder):
        if of.seed == 3:
            drawn.append(of.optimizer.lr)
        place = drawn.index(of.optimizer.lr)
        # In the search each trial is a point better than the next. With fresh seeds the second is
        # the best of those that are confirmed, except with one seed, and what follows is better.
        fresh = {trainings.TOP: 0.99, 1: 0.7, 0: 0.6}.get(place, 0.5)
        worse = {(1, trainings.FRESH[0]): 0.55, (1, trainings.JUDGES[0]): 0.1}
        reached = 0.9 - place / 100 if of.seed == 3 else worse.get((place, of.seed), fresh)
        return {"val/accuracy": reached}

    monkeypatch.setattr(trainings.made, "trained", train)
    reached = trainings.searched("random", 3, 8, Trainings(tmp_path / "kept.jsonl"))
    assert reached.seen == 0.9
    assert reached.fresh == pytest.approx(0.6)
    assert reached.handed == pytest.approx((0.1 + 0.7 + 0.7) / 3)


def test_a_setting_that_diverges_with_a_fresh_seed_is_not_handed_over(monkeypatch, tmp_path):
    drawn = []

    def train(of, folder):
        if of.seed == 3:
            drawn.append(of.optimizer.lr)
        elif of.optimizer.lr == drawn[0] and of.seed == trainings.FRESH[-1]:
            raise Diverged(1)
        return {"val/accuracy": 0.9 if of.optimizer.lr == drawn[0] else 0.8}

    monkeypatch.setattr(trainings.made, "trained", train)
    reached = trainings.searched("random", 3, 2, Trainings(tmp_path / "kept.jsonl"))
    assert reached.seen == 0.9
    assert reached.fresh == pytest.approx((0.9 + 0.9 + 0.1) / 3)
    assert reached.handed == pytest.approx(0.8)
