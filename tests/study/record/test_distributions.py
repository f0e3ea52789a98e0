import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from raylt import space
from raylt.study.record import distributions
from tests.space.made import loaded


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    return loaded(
        tmp_path_factory.mktemp("space"),
        {},
        {
            "method.prune": {"low": 0.1, "high": 0.99, "log": "complement"},
            "method.temperature": {"low": 0.05, "high": 1.0, "log": True},
            "method.head_depth": {"choices": [2, 3]},
            "epochs": {"low": 4, "high": 12, "step": 4},
            "optimizer.momentum": {"low": 0.0, "high": 0.9, "step": 0.3},
        },
    )


def of(opened: space.Space, path: str):
    return next(leaf for leaf in opened.leaves if leaf.path == path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("method.temperature", FloatDistribution(0.05, 1.0, log=True)),
        ("method.head_depth", CategoricalDistribution((2, 3))),
        ("epochs", IntDistribution(4, 12, step=4)),
        ("optimizer.momentum", FloatDistribution(0.0, 0.9, step=0.3)),
        ("method.prune", FloatDistribution(1 - 0.99, 1 - 0.1, log=True)),
    ],
)
def test_a_leaf_is_the_distribution_of_its_law(opened, path, expected):
    assert distributions.distribution(of(opened, path)) == expected


@given(st.floats(0.1, 0.99))
def test_a_scale_towards_one_is_kept_the_other_way_round(opened, value):
    leaf = of(opened, "method.prune")
    assert distributions.parameter(leaf) == "1 - method.prune"
    kept = distributions.to_optuna(leaf, value)
    assert kept == 1 - value
    again = distributions.from_optuna(leaf, kept)
    assert again == pytest.approx(value, abs=1e-15)
    assert 0.1 <= again <= 0.99


def test_a_point_is_kept_leaf_by_leaf_and_absent_leaves_are_left_out(opened):
    kept = distributions.parameters(opened, {"method.prune": 0.9, "epochs": 8})
    assert {name: value for name, (_, value) in kept.items()} == {
        "1 - method.prune": pytest.approx(0.1),
        "epochs": 8,
    }


def test_a_distribution_of_one_value_gives_it():
    assert distributions.only_value(CategoricalDistribution(("a",))) == "a"
    assert distributions.only_value(IntDistribution(3, 3)) == 3
