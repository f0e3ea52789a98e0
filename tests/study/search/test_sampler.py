import pytest
from optuna import create_study
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler, TPESampler

from raylt.schema import InputError
from raylt.study.search.sampler import draw, grid, sampler
from tests.space.made import loaded

CHOICES = {"choices": [2, 3]}


def test_a_resumed_study_draws_other_numbers(tmp_path):
    space = loaded(tmp_path, {"sampler": {"name": "random"}}, {"method.head_depth": CHOICES})
    first, again, later = (sampler(space, begun=begun) for begun in (0, 0, 7))
    assert isinstance(first, RandomSampler)
    law = {"x": FloatDistribution(0, 1)}
    numbers = [create_study(sampler=built).ask(law).params for built in (first, again, later)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_a_sampler_is_the_one_that_the_space_names(tmp_path):
    space = loaded(tmp_path, {}, {"method.head_depth": CHOICES})
    assert isinstance(sampler(space, begun=0), TPESampler)


def test_a_grid_is_every_allowed_point_in_the_order_of_the_file(tmp_path):
    leaves = {
        "method.head_depth": CHOICES,
        "method.random_share": {
            "low": 0.1,
            "high": 0.3,
            "step": 0.1,
            "when": "method.head_depth == 3",
        },
        "epochs": {"low": 4, "high": 6},
    }
    study = {"sampler": {"name": "grid"}, "require": ["epochs < 6"]}
    points = grid(loaded(tmp_path, study, leaves))
    assert [tuple(point.values()) for point in points] == [
        (2, 4),
        (2, 5),
        *((3, share, epochs) for share in (0.1, 0.2, 0.3) for epochs in (4, 5)),
    ]


@pytest.mark.parametrize(
    ("leaves", "complaint"),
    [
        (
            {"method.prune": {"low": 0.1, "high": 0.9}},
            "must have a finite list of values for a grid",
        ),
        (
            {
                "epochs": {"low": 1, "high": 400},
                "size": {"low": 8, "high": 400},
            },
            "a grid must have at most 100000 points",
        ),
    ],
)
def test_what_is_no_grid_is_refused(tmp_path, leaves, complaint):
    with pytest.raises(InputError, match=complaint):
        grid(loaded(tmp_path, {"sampler": {"name": "grid"}}, leaves))


def test_no_recipe_is_drawn_that_was_had(tmp_path):
    choices = {"method.temperature": {"choices": [0.1, 0.2]}}
    space = loaded(tmp_path, {"sampler": {"name": "random"}}, choices)
    study = create_study(sampler=sampler(space, begun=0))
    study.ask()
    (trial,) = study.get_trials()
    digests = {space.at({"method.temperature": value}).digest: value for value in (0.1, 0.2)}
    for digest, value in digests.items():
        point, recipe = draw(study, trial, space, taken={digest}, seed=1)
        assert point["method.temperature"] != value
        assert recipe.digest in set(digests) - {digest}
    assert draw(study, trial, space, taken={*digests}, seed=1) is None
