"""What the only writer holds in memory is what the database says."""

import optuna
import pytest

from raylt.study.record.cache import WriteThroughStorage
from tests.study import made


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study that was written trial by trial, and what it holds."""
    record = made.study(tmp_path_factory.mktemp("runs"))
    yield record
    record.close()


def test_every_trial_is_held_as_the_database_has_it(written):
    kept, database = written._storage, written._database
    assert isinstance(kept, WriteThroughStorage)
    ours, theirs = kept.get_all_trials(written._id), database.get_all_trials(written._id)
    assert len(ours) == 12
    assert ours == sorted(theirs, key=lambda trial: trial.number)
    for trial in theirs:
        assert kept.get_trial(trial._trial_id) == trial


def test_what_is_known_of_the_study_is_held_too(written):
    assert written.facts == written._database.get_study_user_attrs(written._id)
    before = written.facts
    written.note("later", {"a": (1, 2)})
    assert written.facts["later"] == {"a": [1, 2]}
    assert "later" not in before
    assert written._database.get_study_user_attrs(written._id)["later"] == {"a": [1, 2]}


def test_a_trial_that_runs_is_handed_out_as_a_copy(tmp_path):
    record = made.study(tmp_path, trials=2, failed=(), stopped=())
    number = record.open_trial()
    record.frozen(number).user_attrs["mine"] = 1
    assert "mine" not in record.frozen(number).user_attrs
    finished = record.frozen(0)
    assert record.frozen(0) is finished
    record.close()


def test_states_are_filtered_and_unknown_trials_are_refused(written):
    states = (optuna.trial.TrialState.FAIL,)
    assert [t.number for t in written.study.get_trials(states=states)] == [3]
    with pytest.raises(KeyError):
        written.frozen(99)


def test_a_driver_that_takes_over_sees_the_same(written):
    seen = made.again(written)
    assert [vars(study) for study in seen.study.trials] == [vars(o) for o in written.study.trials]
    assert seen.facts == written.facts
    assert [seen.epochs(n) for n in range(12)] == [written.epochs(n) for n in range(12)]
    seen.close()


def test_attributes_that_are_set_together_are_what_the_database_has(tmp_path):
    record = made.study(tmp_path, trials=1, failed=(), stopped=())
    kept, database = record._storage, record._database
    trial = record._trial_id(record.open_trial())
    kept.set_trial_user_attrs(trial, {"a": [1, {"b": None}], "seconds": 1.0})
    kept.set_trial_user_attrs(trial, {"seconds": 2.5, "c": (1, 2)})
    expected = {"a": [1, {"b": None}], "seconds": 2.5, "c": [1, 2]}
    assert kept.get_trial(trial).user_attrs == expected
    assert database.get_trial(trial).user_attrs == expected
    assert record.count == database.get_n_trials(record._id) == 2
    record.close()
