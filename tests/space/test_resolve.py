"""The settings that a space knows beforehand, and what the command line makes of them."""

import pytest

from raylt.schema import InputError
from tests.space.made import loaded

OPEN = {
    "method.prune": {"low": 0.1, "high": 0.9},
    "method.head_depth": {"choices": [2, 3]},
}


def baseline(values):
    return {"baseline": {"source": "a paper", "values": values}}


def test_a_leaf_that_a_setting_leaves_out_has_its_default(tmp_path):
    study = {**baseline({"method.prune": 0.5}), "points": [{"method.head_depth": 3}]}
    space = loaded(tmp_path, study, OPEN)
    assert space.baseline_point == {"method.prune": 0.5, "method.head_depth": 2}
    assert space.points == ({"method.prune": 0.9, "method.head_depth": 3},)


def test_a_setting_may_repeat_what_the_recipe_fixes_and_nothing_else(tmp_path):
    assert loaded(tmp_path, baseline({"epochs": 6}), OPEN).baseline_point
    with pytest.raises(InputError, match=r"must be 6, as the recipe fixes it, but got 7"):
        loaded(tmp_path, baseline({"epochs": 7}), OPEN)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"method.prun": 0.5}, r"must be an open leaf, but is unknown.* 'method\.prune'"),
        ({"method.prune": 0.95}, r"study\.baseline\.values\.method\.prune: .*admit it"),
        ({"method.head_depth": 4}, r"study\.baseline\.values\.method\.head_depth: .*admit it"),
    ],
)
def test_a_setting_must_be_a_point_of_the_space(tmp_path, values, complaint):
    with pytest.raises(InputError, match=complaint):
        loaded(tmp_path, baseline(values), OPEN)


def test_a_leaf_without_a_default_must_be_given(tmp_path):
    with pytest.raises(InputError, match=r"must give optimizer\.lr, which has no default"):
        loaded(tmp_path, baseline({}), {"optimizer.lr": {"low": 0.1, "high": 0.2}})


def test_what_the_command_line_fixes_leaves_the_settings_and_is_said(tmp_path):
    study = baseline({"method.prune": 0.5, "method.head_depth": 3})
    space = loaded(tmp_path, study, OPEN, "method.prune=0.7")
    assert space.baseline_point == {"method.head_depth": 3}
    (warning,) = space.warnings
    assert "method.prune: 0.7 overrules 0.5 of study.baseline.values" in warning


def test_another_sampler_drops_the_keys_that_it_has_no_use_for(tmp_path):
    study = {"sampler": {"name": "tpe", "startup": 4}}
    leaves = {"method.head_depth": OPEN["method.head_depth"]}
    space = loaded(tmp_path, study, leaves, "study.sampler.name=grid")
    assert space.study.sampler.name == "grid"
    assert any("grid has no use for the file's study.sampler.startup" in w for w in space.warnings)


def test_several_keys_without_use_are_one_warning(tmp_path):
    study = {"scheduler": {"name": "asha", "grace": 3, "factor": 2}}
    leaves = {"method.head_depth": OPEN["method.head_depth"]}
    space = loaded(tmp_path, study, leaves, "study.scheduler.name=none")
    (warning,) = space.warnings
    assert "none has no use for the file's study.scheduler." in warning
    assert "study.scheduler.grace" in warning
    assert "study.scheduler.factor" in warning


def test_sources_know_their_lines_and_where_their_files_are(tmp_path):
    study = {"warm_start": ["earlier", "best.json"]}
    leaf = {"method.prune": {"low": 0.5, "high": 0.9}}
    first, second = loaded(tmp_path, study, leaf).sources
    assert (first.name, first.file) == ("earlier", None)
    assert second.file == tmp_path / "best.json"
    assert first.place.startswith(f"{tmp_path / 'space.yaml'}:4: study.warm_start.0")
    (given,) = loaded(tmp_path, {}, leaf, "study.warm_start=[x/best.json]").sources
    assert (str(given.file), given.place) == ("x/best.json", "command line: study.warm_start.0")
    assert loaded(tmp_path, study, {}).sources == ()


def test_without_a_warm_start_the_text_of_a_space_has_no_word_of_it(tmp_path):
    space = loaded(tmp_path, {}, {"method.prune": {"low": 0.5, "high": 0.9}})
    assert "warm" not in space.text


def test_a_baseline_that_the_command_line_changes_says_so_in_its_source(tmp_path):
    study = baseline({"method.prune": 0.5, "method.head_depth": 3})
    space = loaded(tmp_path, study, OPEN, "method.prune=0.7")
    assert space.study.baseline.source == "a paper; but method.prune 0.7 for 0.5"
    same = loaded(tmp_path, study, OPEN, "method.prune=0.5")
    assert same.study.baseline.source == "a paper"


def test_one_run_is_the_baseline_only_where_it_is_that_setting(tmp_path):
    study = baseline({"method.prune": 0.5, "method.head_depth": 3})
    other = loaded(tmp_path, study, OPEN, "method.prune=0.7", "method.head_depth=3")
    assert (other.leaves, other.study.baseline, other.baseline_point) == ((), None, None)
    same = loaded(tmp_path, study, OPEN, "method.prune=0.5", "method.head_depth=3")
    assert (same.study.baseline.source, same.baseline_point) == ("a paper", {})
