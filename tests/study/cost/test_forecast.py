import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from raylt.space.plan import Scheduler
from raylt.study.cost import forecast
from raylt.study.cost.forecast import corners, nearest, trained_share
from raylt.study.resources.allocation import Allocation
from tests.cluster.made import shape
from tests.study.cost.made import trial_cost
from tests.study.drive import toy


def booked(concurrent, **changes):
    return Allocation(shape=shape(**changes), concurrent=concurrent, machines=())


TWO = booked(2)

BASE = (
    "study.baseline.values={method.temperature: 0.2, method.prune: 0.9, optimizer.batch_size: 64}"
)


def test_the_corners_are_the_baseline_and_the_ends_of_what_makes_steps_dear(tmp_path):
    space = toy(
        tmp_path,
        "optimizer.batch_size={low: 32, high: 256}",
        "size={choices: [16, 24]}",
        BASE[:-1] + ", size: 16}",
        "study.require=['not (size > 16 and optimizer.batch_size > 200)']",
    )
    result = [(recipe.optimizer.batch_size, recipe.size) for recipe in corners(space)]
    assert result[0] == (64, 16)
    assert sorted(result[1:]) == [(32, 16), (32, 24), (256, 16)]


def test_a_space_whose_steps_all_cost_alike_has_one_corner(tmp_path):
    assert len(corners(toy(tmp_path))) == 1


def test_a_draw_costs_what_the_nearest_corner_does(tmp_path):
    space = toy(
        tmp_path,
        "optimizer.batch_size={low: 32, high: 256}",
        BASE,
    )
    recipes = {recipe.optimizer.batch_size: recipe for recipe in corners(space)}
    measured = [(recipe, trial_cost(epoch=float(size))) for size, recipe in recipes.items()]
    drawn = space.at({**space.baseline_point, "optimizer.batch_size": 170})
    assert nearest(drawn, measured).epoch == 256
    assert (
        nearest(space.at({**space.baseline_point, "optimizer.batch_size": 40}), measured).epoch
        == 32
    )


@given(st.integers(1, 8), st.integers(1, 40), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_a_scheduler_saves_something_but_never_the_grace(grace, epochs, factor):
    scheduler = Scheduler(name="asha", grace=min(grace, epochs), factor=factor)
    share = trained_share(type("Plan", (), {"scheduler": scheduler}), epochs)
    assert scheduler.grace / epochs - 1e-9 <= share <= 1 + 1e-9
    nobody = type("Plan", (), {"scheduler": Scheduler(name="none")})
    assert trained_share(nobody, epochs) == 1


def test_one_in_factor_passes_each_rung(tmp_path):
    plan = toy(tmp_path, "study.scheduler={name: asha, grace: 1, factor: 3}").study
    # All train 1 epoch, a third 2 more, a ninth 6 more, the last ones 18 more.
    assert trained_share(plan, 27) == pytest.approx((1 + 2 / 3 + 6 / 9 + 18 / 27) / 27)
    assert trained_share(plan, 5) == pytest.approx((1 + 2 / 3 + 2 / 9) / 5)


def test_what_early_stopping_saves_is_said_as_an_estimate(tmp_path):
    halved = of(toy(tmp_path, "study.scheduler={name: asha, grace: 1, factor: 3}"))
    plain = of(toy(tmp_path, "study.scheduler={name: none}"))
    # Hours are those of trials that all train to their end.
    assert halved.cpu_hours == plain.cpu_hours
    (line,) = (line for line in forecast.lines(halved, free=None) if "early stopping" in line)
    assert f"about {100 * halved.share:.0f} % of the epochs (estimated" in line
    assert not any("early stopping" in line for line in forecast.lines(plain, free=None))


def of(space, *, allocation=TWO, trials=6, **changes):
    measured = [(recipe, trial_cost(**changes)) for recipe in corners(space)]
    return forecast.forecast(space, measured, allocation, trials=trials)


def test_hours_clock_and_disk_follow_from_the_cost_of_a_trial(tmp_path):
    space = of(toy(tmp_path, "study.scheduler={name: none}", "study.budget.cpu_hours=0.1"))
    trial = 10 + 6 * 6.5
    assert (space.least, space.mean, space.most) == pytest.approx((trial, trial, trial))
    assert space.cpu_hours == pytest.approx(6 * trial / 3600)
    assert space.wall == pytest.approx(3 * trial)
    # Two that run, three winners and the baseline.
    assert space.disk == 6 * 2**20
    (limit,) = space.budget
    assert (limit.name, limit.limit, limit.used) == ("cpu_hours", 0.1, space.cpu_hours)
    assert space.affordable == 6
    dear = of(toy(tmp_path, "study.scheduler={name: none}", "study.budget.cpu_hours=0.04"))
    assert dear.affordable == 2
    assert forecast.lines(dear, free=None)[-1] == (
        "budget     cpu_hours: 0.0817 of 0.04 h, which is enough for about 2 of 6 trials"
    )


def test_all_checkpoints_take_what_all_trials_leave(tmp_path):
    assert of(toy(tmp_path, "study.checkpoints=all"), trials=40).disk == 40 * 2**20


def test_workers_share_the_training_and_not_the_scores(tmp_path):
    space = toy(tmp_path, "study.scheduler={name: none}")
    four = booked(1, workers=4)
    assert of(space, allocation=four).mean == pytest.approx(10 + 6 * (5 / 4 + 1.5))


def test_a_search_is_never_shorter_than_its_longest_trial(tmp_path):
    many = booked(100)
    space = of(toy(tmp_path, "study.scheduler={name: none}"), allocation=many)
    assert space.wall == space.most


def test_more_than_fits_the_disk_is_a_warning(tmp_path):
    space = of(toy(tmp_path))
    assert not any("warning" in line for line in forecast.lines(space, free=2**30))
    assert any("warning" in line for line in forecast.lines(space, free=2**20))
