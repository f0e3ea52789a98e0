import pydantic
import pytest

from raylt import schema
from raylt.schema import ContrastConfig, EnvironmentError, Frozen, InputError, RayltError


class Toy(Frozen):
    share: float = 0.5
    """A number."""
    number: int = 1
    flag: bool = True


@pytest.mark.parametrize(
    "values",
    [
        {"share": "0.5"},
        {"share": True},
        {"share": float("nan")},
        {"share": float("inf")},
        {"number": 1.0},
        {"number": "1"},
        {"flag": 1},
        {"flag": "yes"},
        {"shar": 0.5},
    ],
    ids=str,
)
def test_nothing_is_converted_and_nothing_unknown_is_taken(values):
    with pytest.raises(pydantic.ValidationError):
        Toy(**values)


def test_a_configuration_is_frozen_and_explains_its_fields():
    toy = Toy(share=1)
    assert toy.share == 1.0  # a whole number is a number
    assert Toy.model_fields["share"].description == "A number."
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        toy.share = 0.1


def test_a_swing_of_the_temperature_goes_down():
    assert ContrastConfig(name="toy", temperature=0.05).temperature_min == 0.1
    swing = {"name": "toy", "temperature_schedule": "cosine"}
    assert ContrastConfig(**swing, temperature=0.1)
    with pytest.raises(pydantic.ValidationError, match="temperature_min must be at most temperat"):
        ContrastConfig(**swing, temperature=0.09)


def test_an_error_says_whose_it_is_by_its_exit_code():
    assert {kind.exit_code for kind in (RayltError,)} == {1}
    assert (InputError.exit_code, EnvironmentError.exit_code) == (2, 3)
    assert schema.EnvironmentError is not OSError
