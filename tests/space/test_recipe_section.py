"""What the recipe part of a file closes and leaves open; its messages: test_bad_inputs.py."""

import pytest

from raylt import recipe
from raylt.schema import InputError
from raylt.space import recipe_section
from raylt.space.file import document
from tests.space.made import RECIPE, text


def written(tmp_path, changes):
    (tmp_path / "space.yaml").write_text(text({}, changes), "utf-8")
    return document.read(str(tmp_path / "space.yaml"))


def opened(tmp_path, changes):
    return recipe_section.read(written(tmp_path, changes), whole_ends=False)


def test_what_is_open_is_no_fixed_value_and_what_is_closed_is_known(tmp_path):
    section = opened(tmp_path, {"method.prune": {"low": 0.1, "high": 0.9}, "epochs": 9})
    (leaf,) = section.leaves
    assert leaf.path == "method.prune"
    assert section.fixed["method"] == {"name": "sdclr"}
    assert section.known["epochs"] == 9
    assert section.known["schedule.name"] == "cosine"  # a default
    assert section.model is recipe.model_of(RECIPE)
    assert section.warnings == ()
    whole = recipe.filled(section.fixed, {"method.prune": 0.5})
    assert section.model.model_validate(whole) == recipe.parse(
        recipe.filled(RECIPE, {"method.prune": 0.5, "epochs": 9})
    )


def test_a_leaf_comes_after_those_that_its_condition_mentions(tmp_path):
    section = opened(
        tmp_path,
        {
            "method.random_share": {"low": 0.0, "high": 1.0, "when": "method.prune > 0.5"},
            "method.prune": {"low": 0.1, "high": 0.9, "when": "optimizer.lr < 0.5"},
            "optimizer.lr": {"low": 0.1, "high": 1.0},
        },
    )
    order = [leaf.path for leaf in section.leaves]
    assert order == ["optimizer.lr", "method.prune", "method.random_share"]


def test_conditions_must_not_form_a_circle(tmp_path):
    with pytest.raises(InputError, match=r"must not form a circle, but method\.prune and method"):
        opened(
            tmp_path,
            {
                "method.prune": {"low": 0.1, "high": 0.9, "when": "method.random_share > 0"},
                "method.random_share": {"low": 0.0, "high": 1.0, "when": "method.prune > 0.5"},
            },
        )


def test_a_leaf_without_a_default_cannot_be_absent(tmp_path):
    with pytest.raises(InputError, match=r"optimizer\.lr has no default to use where"):
        opened(tmp_path, {"optimizer.lr": {"low": 0.1, "high": 1.0, "when": "method.prune > 0.5"}})


def test_a_range_of_one_value_is_closed_and_said_to_be(tmp_path):
    section = opened(tmp_path, {"method.prune": {"low": 0.9, "high": 0.9}})
    assert section.leaves == ()
    assert section.fixed["method"]["prune"] == 0.9
    (warning,) = section.warnings
    assert "space.yaml:" in warning
    assert "method.prune: can only be 0.9, so nothing is searched there" in warning


TAU = {"low": 0.0, "high": 2.0}


@pytest.mark.parametrize(
    ("changes", "warns"),
    [
        ({"method.classifier": {"choices": ["crt", "tau"]}, "method.tau": TAU}, True),
        ({"method.tau": TAU}, True),
        ({"method.classifier": "tau", "method.tau": TAU}, False),
        (
            {
                "method.classifier": {"choices": ["crt", "tau"]},
                "method.tau": {**TAU, "when": "method.classifier == 'tau'"},
            },
            False,
        ),
    ],
)
def test_a_leaf_that_is_open_where_it_does_nothing_is_named_with_the_remedy(
    tmp_path, changes, warns
):
    section = opened(tmp_path, {"method": {"name": "decoupled"}, **changes})
    assert len(section.warnings) == warns
    for warning in section.warnings:
        assert warning.startswith(f"{tmp_path / 'space.yaml'}:")
        assert ": method.tau: does nothing unless method.classifier == 'tau'" in warning
        assert warning.endswith("""add `when: "method.classifier == 'tau'"`, or close it""")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": {"low": 0, "high": 9}}, "would be the luckiest seed"),
        ({"data.imbalance": {"low": 10.0, "high": 20.0}}, "trials on different data"),
        ({"evaluation.labels": {"choices": ["tail", "balanced"]}}, "that are scored differently"),
    ],
)
def test_what_a_search_must_not_vary_is_refused(tmp_path, changes, complaint):
    with pytest.raises(InputError, match=f"must be fixed, but is left open: .*{complaint}"):
        opened(tmp_path, changes)


def test_every_end_of_every_leaf_is_checked_and_every_fault_is_a_line(tmp_path):
    with pytest.raises(InputError) as error:
        opened(
            tmp_path,
            {
                "method.prune": {"low": -0.1, "high": 1.5},
                "method.head_depth": {"choices": [2, 4]},
                "optimizer.momentum": 2.0,
            },
        )
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for message in ("its low is -0.1", "its high is 1.5", "one choice is 4", "but got 2.0"):
        assert sum(message in line and "space.yaml:" in line for line in lines) == 1


def test_a_key_of_another_method_names_its_owners(tmp_path):
    with pytest.raises(InputError, match=r"tau is a key of bcl.* but method.name is sdclr"):
        opened(tmp_path, {"method.tau": 1.0})


def test_a_condition_mentions_keys_of_the_recipe_alone(tmp_path):
    read = written(tmp_path, {})
    keys = ("study", "require", 0)
    expression = recipe_section.condition(read, keys, "epochs > 3", {"epochs", "size"})
    assert expression.names == {"epochs"}
    with pytest.raises(InputError, match=r"only keys of the recipe, but got 'epoch'.*'epochs'"):
        recipe_section.condition(read, keys, "epoch > 3", {"epochs", "size"})
