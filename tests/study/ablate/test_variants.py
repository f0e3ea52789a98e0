import pytest

from raylt import plugins, recipe
from raylt.plugins import names
from raylt.schema import Ablation, InputError
from raylt.study.ablate.path import Taken
from raylt.study.ablate.variants import Variants, declared
from tests.study import made


@pytest.mark.parametrize("method", names("methods"))
def test_what_a_method_declares_is_a_recipe_of_its_own(method):
    plain = {
        "data": {"name": "digits"},
        "method": {"name": method},
        "encoder": "small",
        "optimizer": {"lr": 0.1, "batch_size": 64},
        "epochs": 2,
    }
    recipes = [recipe.parse(recipe.filled(plain, part.values)) for part in declared(method)]
    digests = [item.digest for item in recipes]
    assert len(set(digests)) == len(digests)
    # At most one of the alternatives is what the method does anyway.
    assert digests.count(recipe.parse(plain).digest) <= 1
    assert len({part.name for part in declared(method)}) == len(digests)


def test_between_two_changes_what_is_set_back_alone_is_what_is_taken_over_alone(tmp_path):
    study = made.study(tmp_path, trials=12, failed=(), stopped=())
    variants = Variants(study, None)
    everything = Taken(variants.names)
    assert variants.at(Taken()) is variants.baseline
    assert variants.at(everything) is variants.winner
    for name in variants.names:
        without = variants.at(everything - {name})
        assert without.name == f"{name} set back"
        assert without.number == variants.winner.number
        assert variants.at(Taken([name])).name == f"only {name}"
    digests = [c.setting.digest(1) + c.reference.digest(1) for _, c in variants.comparisons()]
    assert len(set(digests)) == len(digests)


def test_settings_between_the_baseline_and_a_chosen_trial_name_it(tmp_path):
    study = made.study(tmp_path, trials=12, failed=(), stopped=())
    ranking = [trial.number for trial in study.ranking() if trial.state == "complete"]
    for number, suffix in zip(ranking[:2], ("", f", of trial {ranking[1]}"), strict=True):
        chosen = Variants(study, number)
        first = chosen.names[0]
        assert chosen.at(Taken([first])).name == f"only {first}{suffix}"


def test_a_part_that_the_winner_lacks_or_a_change_sets_back_is_not_trained_twice(tmp_path):
    study = made.study(
        tmp_path,
        "study.baseline={source: b, values: {method.temperature: 0.2, method.prune: 0.0, "
        "method.head_depth: 2}}",
        "study.points=[{method.temperature: 0.3, method.prune: 0.4, method.head_depth: 2}]",
        trials=2,
        failed=(),
    )
    variants = Variants(study, 1)
    heard = [subject.name for subject, _ in variants.comparisons() if subject.way == "declared"]
    assert "no pruning" not in heard
    assert "no pruning: that is prune set back" in variants.notices
    with pytest.raises(InputError, match="must differ from the baseline"):
        Variants(study, 0)


def test_two_parts_that_are_one_model_are_compared_once(tmp_path, monkeypatch):
    study = made.study(tmp_path, trials=12, failed=(), stopped=())
    part = Ablation(name="no pruning", sentence="all weights", values={"method.prune": 0.0})
    twin = part.model_copy(update={"name": "dense"})
    monkeypatch.setattr(plugins, "declared", lambda *words: (part, twin))
    variants = Variants(study, None)
    compared = variants.comparisons()
    assert [s.name for s, _ in compared if s.way == "declared"] == ["no pruning"]
    assert "dense: that is no pruning" in variants.notices


def test_a_trial_that_was_stopped_is_refused(tmp_path):
    study = made.study(tmp_path, trials=6, stopped=(5,))
    with pytest.raises(InputError, match="trial 5 is stopped"):
        Variants(study, 5)


def test_one_run_has_nothing_to_take_back(tmp_path):
    with pytest.raises(InputError, match="one run has nothing to compare"):
        Variants(made.one_run(tmp_path), None)
