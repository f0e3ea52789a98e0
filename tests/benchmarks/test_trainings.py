import pytest

from benchmarks import trainings
from benchmarks.trainings import Trainings
from raylt import space
from raylt.space import document
from raylt.trial.fit import Diverged


def recipe(**changes):
    text = trainings.SPACE.replace("TRIALS", "3").replace("SEED", "0").replace("NAMED", "random")
    wanted = space.of(document.parse(text, "toy"))
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
    # All reach the same, so both choose their first trial and try that with the fresh seeds.
    assert len(trained) == 10 + 2 + 2 + len(trainings.FRESH)


def test_the_chosen_setting_is_judged_by_other_seeds(trained, tmp_path):
    judged, seen = trainings.searched("random", 7, 3, Trainings(tmp_path / "kept.jsonl"))
    assert seen == 0.5 + 7 / 1000
    assert judged == pytest.approx(0.5 + sum(trainings.FRESH) / len(trainings.FRESH) / 1000)
    assert 7 not in trainings.FRESH
