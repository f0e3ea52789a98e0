from dataclasses import replace

import pytest

from raylt.trial.cost import cost
from tests.study.cost.made import trial_cost
from tests.study.drive import toy


def test_a_run_takes_its_start_its_epochs_and_its_scores(tmp_path):
    space = toy(tmp_path, "epochs=6", "evaluation.every=4")
    recipe = space.at(space.baseline_point)
    # Scored after epochs 4 and 6.
    assert trial_cost().seconds(recipe) == pytest.approx(10 + 6 * 5 + 2 * 1.5)


def test_a_few_real_steps_are_measured_in_a_process_of_their_own(tmp_path):
    space = toy(tmp_path)
    recipe = space.at(space.baseline_point)
    result = cost.measure_apart(
        recipe, root=tmp_path / "data", runs=tmp_path, threads=1, gpu=False
    )
    assert min(result.start, result.epoch, result.score, result.save) > 0
    assert result.disk > 100_000
    assert 100 * 2**20 < result.memory < 8 * 2**30
    assert (result.device, result.gpu_size, result.gpu_memory) == ("cpu", 0, 0)
    assert replace(result, epoch=0.0).seconds(recipe) < result.seconds(recipe)


@pytest.mark.gpu
def test_on_a_gpu_its_memory_and_its_time_are_measured_too(tmp_path):
    space = toy(tmp_path)
    recipe = space.at(space.baseline_point)
    result = cost.measure_apart(recipe, root=tmp_path / "data", runs=tmp_path, threads=1, gpu=True)
    assert 0 < result.gpu_memory < result.gpu_size
    assert 0 < result.gpu_busy <= 1
    assert result.device != "cpu"
    hidden = cost.measure_apart(
        recipe, root=tmp_path / "data", runs=tmp_path, threads=1, gpu=False
    )
    assert (hidden.device, hidden.gpu_memory) == ("cpu", 0)
