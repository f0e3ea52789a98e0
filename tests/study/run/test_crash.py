"""A study that is killed at 20 random moments: every trial and every epoch is accounted for."""

import itertools
import json
import os
import random
import time

import pytest

from raylt.study.record import storage, studies
from raylt.study.resources import environment
from raylt.study.run import driver
from raylt.study.tracking import store
from tests.study.drive import behave, settings
from tests.study.run import blows
from tests.study.run.made import Drive, kill_all, processes_of

KILLS = 20
TRIALS = 100
"""More than twenty drives between two kills can end."""


def epochs_on_disk(folder):
    """Trial -> number of epochs that the record has of it."""
    collected = {}
    for path in (folder / "runs" / "toy" / "trials").glob("*/epochs.jsonl"):
        lines = [line for line in path.read_text().splitlines() if line]
        collected[int(path.parent.name)] = len(lines)
    return collected


def starts(folder, number):
    """The epochs that a trial went on from, at each start of its process."""
    path = folder / "runs" / "toy" / "trials" / str(number) / "starts.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines]


def drive(folder):
    """Begin the study, or go on with it where it is there."""
    begun = storage.exists(folder / "runs" / "toy", None, "toy")
    return Drive("resume" if begun else "search", folder, f"study.trials={TRIALS}")


def crash(folder, moment, rng):
    """Drive the study and kill it, at its start or while it trains; what was known then."""
    run = drive(folder)
    before = epochs_on_disk(folder)
    if moment == "start":
        time.sleep(rng.uniform(0.0, 8.0))
    else:
        run.until(lambda: epochs_on_disk(folder) != before, seconds=180)
        time.sleep(rng.uniform(0.0, 1.0))
    assert run.process.poll() is None, run.process.communicate()
    kill_all(run.process.pid)
    run.process.communicate()
    known = epochs_on_disk(folder)
    attempts = {number: len(starts(folder, number)) for number in known}
    return run.process.pid, known, attempts


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills_at_random_moments_lose_no_trial_and_no_epoch(tmp_path):
    seed = int(os.environ.get("RAYLT_DRILL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"RAYLT_DRILL_SEED={seed}")
    rng = random.Random(seed)
    behave(tmp_path, seconds=0.5)
    moments = ["start", "work"] * (KILLS // 2)
    rng.shuffle(moments)
    crashes = [crash(tmp_path, moment, rng) for moment in moments]

    behave(tmp_path, seconds=0.01)
    code, out, err = drive(tmp_path).end(300)
    assert code == 0, err
    record = studies.open_study("toy", tmp_path / "runs")
    outcomes = record.outcomes()

    # None lost, none twice: every number once, every recipe once, every trial at its end.
    assert [trial.number for trial in outcomes] == list(range(TRIALS))
    assert len({trial.digest for trial in outcomes}) == TRIALS
    assert {trial.state for trial in outcomes} <= {"complete", "stopped"}
    for trial in outcomes:
        trained = (record.trial_folder(trial.number) / "ran.txt").read_text().split()
        # Only an epoch that a kill cut off before its checkpoint was trained again.
        again = sum(a == b for a, b in itertools.pairwise(trained))
        assert again < max(1, trial.attempts)
        assert [int(e) for e in dict.fromkeys(trained)] == list(range(1, trial.epoch + 1))
        kept = [int(entry["epoch"]) for entry in record.epochs(trial.number)]
        assert kept == list(range(1, trial.epoch + 1))
        assert kept == sorted(record.frozen(trial.number).intermediate_values)
    # What was in flight went on from its last checkpoint: nothing that the record had was trained
    # once more.
    in_flight = 0
    for _, known, attempts in crashes:
        for number, epochs in known.items():
            later = starts(tmp_path, number)[attempts[number] :]
            in_flight += bool(later)
            assert all(done >= epochs for done in later), (number, epochs, later)
    print(f"{in_flight} trials were in flight at a kill and went on")
    assert in_flight

    # MLflow has exactly the record's points; on a busy machine once it was given more time.
    end = time.monotonic() + 300
    while pending := driver.send("toy", settings(tmp_path)):
        assert time.monotonic() < end, pending
    environment.prepare_mlflow()
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store.default_uri(tmp_path / "runs"))
    experiments = [trial.experiment_id for trial in client.search_experiments()]
    runs = {run.info.run_name: run for run in client.search_runs(experiments, max_results=1000)}
    assert len(runs) == TRIALS + 1
    for trial in outcomes:
        run = runs[f"trial {trial.number}{' (baseline)' if trial.number == 0 else ''}"]
        assert run.info.status == "FINISHED"
        points = client.get_metric_history(run.info.run_id, "val/accuracy")
        epochs = record.epochs(trial.number)
        wanted = [(e["epoch"], blows.shown(e["val/accuracy"])) for e in epochs]
        assert sorted((point.step, point.value) for point in points) == wanted
    record.close()

    end = time.monotonic() + 30
    while left := [line for pid, *_ in crashes for line in processes_of(pid)]:
        assert time.monotonic() < end, left
        time.sleep(0.5)
    assert json.loads(out)["interrupted"] is False
