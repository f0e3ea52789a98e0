import re
from pathlib import Path

import psutil
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


@pytest.mark.ray
@pytest.mark.slow
def test_ray_with_a_dashboard_leaves_no_process_and_no_folder():
    before = set(psutil.Process().children(recursive=True))
    environment.prepare_ray(threads=1, alone=True)
    with local_ray.ray_here(cpus=1, dashboard=True, preload=None):
        started = set(psutil.Process().children(recursive=True)) - before
        commands = " ".join(word for process in started for word in process.cmdline())
    (folder,) = set(re.findall(r"/[^ =]*raylt-ray-\w+", commands))
    assert len(started) > 10
    assert not [process for process in started if process.is_running()]
    assert not Path(folder).exists()


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
