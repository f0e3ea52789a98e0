from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, create_model

from raylt import recipe
from raylt.schema import InputError


def plain(**changes: Any) -> dict[str, Any]:
    return {
        "data": {"name": "digits"},
        "method": {"name": "sdclr"},
        "encoder": "small",
        "optimizer": {"lr": 0.1, "batch_size": 64},
        "epochs": 6,
        **changes,
    }


def test_a_recipe_is_complete_and_frozen() -> None:
    parsed = recipe.parse(plain())
    assert parsed.optimizer.momentum == 0.9
    assert type(parsed.method).__name__ == "Config"
    with pytest.raises(ValidationError, match="frozen"):
        parsed.epochs = 7


def test_equal_recipes_have_equal_digests_however_they_were_written() -> None:
    written = recipe.parse(plain(schedule={"milestones": [2, 4]}))
    again = recipe.parse(json.loads(written.model_dump_json()))
    assert again == written
    assert again.digest == written.digest
    assert recipe.parse(plain(optimizer={"batch_size": 64, "lr": 0.1})).digest == (
        recipe.parse(plain()).digest
    )
    assert recipe.parse(plain(seed=1)).digest != recipe.parse(plain()).digest
    assert recipe.parse(plain(method={"name": "simclr"})).digest != recipe.parse(plain()).digest


def test_a_recipe_travels_between_processes() -> None:
    parsed = recipe.parse(plain(schedule={"milestones": [2]}))
    again = pickle.loads(pickle.dumps(parsed))
    assert again == parsed
    assert type(again) is type(parsed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": {"warmup": 6}}, "schedule.warmup must be less than epochs"),
        (
            {"optimizer": {"lr": 0.1, "batch_size": 352, "drop_last": True}},
            "optimizer.batch_size must be <= 351",
        ),
        ({"epochs": True}, "valid integer"),
        ({"extra": 1}, "Extra inputs"),
        ({"method": {"name": "sdclr", "complement_weight": 1.0}}, "Extra inputs"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe.parse(plain(**changes))


@pytest.mark.parametrize("section", [{}, {"method": 3}, {"method": {"name": None}}])
def test_the_method_must_be_named(section: dict[str, Any]) -> None:
    values = {k: v for k, v in plain(**section).items() if section or k != "method"}
    with pytest.raises(InputError, match=r"recipe.method.name must name .*known: bcl"):
        recipe.parse(values)


def test_a_knob_of_a_later_version_leaves_the_digest_as_it_is() -> None:
    parsed = recipe.parse(plain())
    later = create_model("Recipe", __base__=type(parsed), polish=(int, 3))
    values = parsed.model_dump()
    assert later.model_validate(values).digest == parsed.digest
    assert later.model_validate({**values, "polish": 4}).digest != parsed.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"method": {"name": "simclr"}},
        {"data": {"name": "digits", "imbalance": 10.0}},
        {"optimizer": {"lr": 0.2, "batch_size": 64}},
        {"epochs": 7},
        {"seed": 1},
    ],
)
def test_another_choice_is_another_digest(changes: dict[str, Any]) -> None:
    assert recipe.parse(plain(**changes)).digest != recipe.parse(plain()).digest


keys = st.sampled_from("abc")
nested = st.dictionaries(
    keys, st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner, min_size=1))
)


@given(nested)
def test_flat_values_are_put_back_where_they_were(values: dict[str, Any]) -> None:
    assert recipe.filled({}, recipe.flat(values)) == values


def test_filling_leaves_the_original_alone() -> None:
    fixed = plain()
    assert recipe.filled(fixed, {"optimizer.lr": 3.0})["optimizer"] == {
        "lr": 3.0,
        "batch_size": 64,
    }
    assert fixed == plain()


def test_defaults_are_those_of_a_parsed_recipe() -> None:
    model = recipe.model_of(plain())
    parsed = recipe.flat(recipe.parse(plain()).model_dump())
    defaults = recipe.defaults(model)
    assert {path: parsed[path] for path in defaults} == defaults
    assert set(parsed) - set(defaults) == {
        "encoder",
        "optimizer.lr",
        "optimizer.batch_size",
        "epochs",
    }
