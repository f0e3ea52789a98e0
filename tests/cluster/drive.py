"""Runs or resumes the toy study on a cluster, then counts: `python -m tests.cluster.drive ...`."""

import argparse
import json
import sys
import time
from pathlib import Path

from raylt.study.record import studies
from raylt.study.run import driver
from tests.study.drive import search, settings, toy


def main(arguments):
    options = argparse.ArgumentParser()
    options.add_argument("verb", choices=["search", "resume"])
    options.add_argument("folder", type=Path)
    options.add_argument("--address")
    options.add_argument("--workers", type=int)
    options.add_argument("--least", type=int)
    options.add_argument("--trials", type=int)
    options.add_argument("--epochs", type=int)
    options.add_argument("--checkpoints")
    chosen = options.parse_args(arguments)
    # In a bucket there is only what a trial really leaves behind.
    work = "tests.study.traced:work" if chosen.checkpoints else "tests.cluster.fake:work"
    wanted = settings(
        chosen.folder,
        work=work,
        checkpoints=chosen.checkpoints,
        cpus=None,
        address=chosen.address,
        workers=chosen.workers,
        min_workers=chosen.least,
        gpus_per_worker=0,
        placement="strict_spread",
        retries=4,
        quiet=False,
    )
    if chosen.verb == "search":
        space = toy(
            chosen.folder,
            f"study.trials={chosen.trials}",
            f"epochs={chosen.epochs}",
            "study.scheduler.name=none",
            f"optimizer.batch_size={64 * chosen.workers}",
            "size=8",
        )
        result = search(space, wanted)
    else:
        result = driver.resume("toy", wanted, retry_failed=False)
    actual = {"exit_code": result.exit_code, **account(chosen.folder, chosen.address)}
    (chosen.folder / "account.json").write_text(json.dumps(actual))
    print(json.dumps(actual))
    return result.exit_code


def account(folder, address):
    """What must be true after every drill, as plain values."""
    study = studies.load(folder / "runs" / "toy", sampler=None)
    trials = [
        {
            "state": trial.state,
            "epochs": [int(entry["epoch"]) for entry in study.epochs(trial.number)],
            **ran(study.trial_folder(trial.number) / "ran.txt"),
            "attempts": trial.attempts,
            "tracked": tracked(study, trial.number, folder),
        }
        for trial in study.outcomes()
    ]
    study.close()
    return {"trials": trials, "free": free(address)}


def ran(path):
    """Every epoch that was trained, where a file that all hosts see tells."""
    return {"ran": [int(line) for line in path.open()]} if path.exists() else {}


def tracked(study, number, folder):
    """Epochs that MLflow has of a trial."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments, max_results=1000):
        if run.info.run_name.removesuffix(" (baseline)") == f"trial {number}":
            return sorted(p.step for p in client.get_metric_history(run.info.run_id, "val/knn"))
    return []


def free(address):
    """Seconds until every core of the cluster that is left is free again; -1 if never."""
    import ray

    ray.init(address=address, log_to_driver=False)
    began = time.monotonic()
    while time.monotonic() - began < 45:
        total, left = ray.cluster_resources(), ray.available_resources()
        if left.get("CPU", 0) == total.get("CPU", 0):
            return time.monotonic() - began
        time.sleep(1)
    return -1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
