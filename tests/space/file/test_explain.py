"""Pydantic's errors in plain words."""

from typing import Literal

import pydantic
import pytest

from raylt.schema import Frozen, InputError
from raylt.space.file import document, explain


class Inner(Frozen):
    lr: float = pydantic.Field(gt=0)
    """Step size; as given."""
    kind: Literal["cosine", "step"] = "cosine"
    batch: int = pydantic.Field(default=64, ge=2)


class Outer(Frozen):
    inner: Inner
    """A section."""
    items: tuple[Inner, ...] = pydantic.Field(default=(), strict=False)
    flag: bool = True
    text: str = "a"

    @pydantic.model_validator(mode="after")
    def _rule(self):
        if self.text == "bad":
            raise ValueError("text must be good, but got bad; write good")
        return self


def sentences(values):
    with pytest.raises(pydantic.ValidationError) as error:
        Outer.model_validate(values)
    return explain.sentences(error.value, Outer)


@pytest.mark.parametrize(
    ("values", "place", "sentence"),
    [
        ({"lr": -1.0}, ("inner", "lr"), "must be > 0, but got -1.0 (step size)"),
        ({"lr": "1"}, ("inner", "lr"), "must be a number, but got '1'; write it in digits"),
        (
            {"lr": 1.0, "batch": 1},
            ("inner", "batch"),
            "must be >= 2, but got 1; the default is 64",
        ),
        (
            {"lr": 1.0, "batch": 2.5},
            ("inner", "batch"),
            "must be a whole number, but got 2.5; the default is 64",
        ),
        (
            {"lr": 1.0, "kind": "cosin"},
            ("inner", "kind"),
            "must be one of cosine, step, but got 'cosin'; did you mean 'cosine'",
        ),
        ({"lr": 1.0, "bach": 3}, ("inner", "bach"), "must be a key of `inner`, but is unknown; d"),
        ({}, ("inner", "lr"), "must be given, but is missing; add `lr: 0.1` (step size)"),
        ({"lr": float("nan")}, ("inner", "lr"), "must be a finite number, but got nan"),
    ],
)
def test_a_broken_rule_is_a_place_and_a_sentence(values, place, sentence):
    ((at, message),) = sentences({"inner": values})
    assert at == place
    assert message.startswith(sentence)


def test_a_rule_over_several_keys_stands_at_the_one_to_change():
    ((place, message),) = sentences({"inner": {"lr": 1.0}, "text": "bad"})
    assert (place, message) == (("text",), "must be good, but got bad; write good")


def test_a_missing_section_is_shown_as_one_would_write_it():
    ((place, message),) = sentences({})
    assert place == ("inner",)
    assert "add `inner: {lr: 0.1}` (a section)" in message


def test_what_is_no_section_says_its_keys():
    ((_, message),) = sentences({"inner": 3})
    assert message.startswith("must be a mapping with keys of lr, kind, batch, but got 3")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing (null)"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        ("x" * 100, f"'{'x' * 76}..."),
    ],
)
def test_values_are_shown_as_in_yaml(value, text):
    assert explain.shown(value) == text


def test_the_model_of_a_place_is_found_through_lists():
    assert explain.model_at(Outer, ("inner",)) is Inner
    assert explain.model_at(Outer, ("items", 0)) is Inner
    assert explain.model_at(Outer, ()) is Outer
    assert explain.model_at(Outer, ("flag",)) is None
    assert explain.dotted(("items", 0, "lr")) == "items.0.lr"


def test_every_fault_of_a_section_is_a_line_with_its_place():
    text = "study:\n  inner:\n    lr: -1\n  flag: 3\n"
    with pytest.raises(InputError) as error:
        explain.check(Outer, document.parse(text, "f.yaml"), "study")
    first, second = str(error.value).splitlines()
    assert first.startswith("f.yaml:3: study.inner.lr: must be > 0")
    assert second.startswith("f.yaml:4: study.flag: must be true or false")
