from concurrent.futures import ThreadPoolExecutor

import pytest

from raylt.settings import Settings
from raylt.study.cost import measurements
from raylt.study.cost.forecast import corners
from tests.study.cost.made import trial_cost
from tests.study.drive import toy


def measured(recipes, runs, how, threads=1):
    settings = Settings(runs=runs, cpus_per_worker=threads)
    return measurements.of_recipes(recipes, settings, gpu=False, say=str, how=how)


def measure(recipe, **where):
    return trial_cost()


def test_what_was_measured_is_kept_for_this_machine_and_its_threads(tmp_path):
    recipes = corners(toy(tmp_path))
    result = measured(recipes, tmp_path, measure)
    assert [recipe for recipe, _ in result] == [*recipes]
    assert measured(recipes, tmp_path, pytest.fail) == result
    again = []
    measured(recipes, tmp_path, lambda r, **_: again.append(r) or trial_cost(), threads=2)
    assert again == [*recipes]


def test_what_two_studies_measure_at_once_is_all_kept(tmp_path):
    space = toy(tmp_path)
    recipes = [space.at({**space.baseline_point, "method.prune": n / 100}) for n in range(20, 60)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: measured(recipes[i::4], tmp_path, measure), range(4)))
    assert len(measured(recipes, tmp_path, pytest.fail)) == len(recipes)
