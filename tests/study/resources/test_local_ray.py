from pathlib import Path

import pytest

from raylt.study.resources import environment, local_ray


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_runs_in_a_process_that_waited_for_it(tmp_path):
    from ray import tune

    def trial(config):
        tune.report({"done": 1})

    environment.prepare_ray(threads=1, alone=True)
    with local_ray.ray_here(cpus=2, dashboard=False, preload="raylt.recipe"):
        waiting = idle()
        run = tune.RunConfig(storage_path=str(tmp_path), verbose=0)
        (result,) = tune.Tuner(trial, run_config=run).fit()
    assert result.metrics["pid"] in waiting


def idle():
    """Numbers of the processes that Ray has started and that nobody has used."""
    collected = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if command.startswith(b"ray::IDLE"):
            collected.add(int(process.name))
    return collected
