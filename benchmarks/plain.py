"""Plain Ray Tune with a TorchTrainer for each trial, training nothing: seconds of a trial.

python -m benchmarks.plain TRIALS
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import Any


def main(trials: int) -> None:
    from raylt.study.resources import environment

    environment.prepare_ray(threads=1, alone=True)
    import ray
    from ray import train, tune
    from ray.train.torch import TorchTrainer

    folder = tempfile.mkdtemp()

    def loop(config: dict[str, Any]) -> None:
        train.report({"loss": 0.0})

    def trial(config: dict[str, Any]) -> None:
        began = time.time()
        TorchTrainer(
            loop,
            train_loop_config=config,
            scaling_config=train.ScalingConfig(num_workers=1),
            run_config=train.RunConfig(storage_path=folder, name=f"train-{config['lr']}"),
        ).fit()
        tune.report({"loss": 0.0, "began": began, "ended": time.time()})

    ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
    results = tune.Tuner(
        tune.with_resources(trial, {"cpu": 0, "memory": 2**20}),
        param_space={"lr": tune.uniform(0.1, 1.0)},
        tune_config=tune.TuneConfig(
            num_samples=trials, max_concurrent_trials=2, reuse_actors=True
        ),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    ).fit()
    if results.errors:
        raise results.errors[0]
    ran = [outcome.metrics or {} for outcome in results]
    # As for raylt: from the first trial that began to the last that ended.
    print(
        (max(outcome["ended"] for outcome in ran) - min(outcome["began"] for outcome in ran))
        / trials
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
