from concurrent.futures import ThreadPoolExecutor

from raylt.study.cost import measured as measures
from raylt.study.cost.forecast import corners
from tests.study.cost.made import trial_cost
from tests.study.drive import toy


def test_what_was_measured_is_kept_for_this_machine_and_its_threads(tmp_path):
    recipes = corners(toy(tmp_path))
    assert measures.stored(recipes, runs=tmp_path, threads=1, gpu=False) == []
    result = measures.measured(
        recipes, runs=tmp_path, threads=1, gpu=False, say=str, how=lambda _: trial_cost()
    )
    assert result == measures.stored(recipes, runs=tmp_path, threads=1, gpu=False)
    assert measures.stored(recipes, runs=tmp_path, threads=2, gpu=False) == []


def test_what_two_studies_measure_at_once_is_all_kept(tmp_path):
    space = toy(tmp_path)
    recipes = [space.at({**space.baseline_point, "method.prune": n / 100}) for n in range(20, 60)]

    def measure(mine):
        measures.measured(
            mine, runs=tmp_path, threads=1, gpu=False, say=str, how=lambda _: trial_cost()
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(measure, [recipes[i::4] for i in range(4)]))
    assert len(measures.stored(recipes, runs=tmp_path, threads=1, gpu=False)) == len(recipes)
