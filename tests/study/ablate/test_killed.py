"""A real ablation on the bundled digits that is killed in the middle, asked again, and tested."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing

import pytest

from raylt.study.confirm.runs import open_runs
from raylt.study.record import studies
from raylt.study.tracking import store
from raylt.study.verdict import ablation, confirmation, test_openings
from tests.study.run.made import kill_all

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

SPACE = """
study:
  name: killed
  trials: 2
  scheduler: {name: none}
  points: [{method.tau: 0.5, optimizer.lr: 0.3}]
  baseline: {source: a guess, values: {method.tau: 1.0, optimizer.lr: 0.001}}
recipe:
  data: {name: digits, imbalance: 20}
  method: {name: cross_entropy, view: weak, tau: {low: 0.0, high: 2.0}}
  encoder: small
  size: 8
  precision: float32
  evaluation: {labels: tail}
  optimizer: {lr: {low: 0.001, high: 1.0, log: true}, batch_size: 64}
  schedule: {warmup: 0}
  epochs: 3
"""
SEEDS = 8


def command(folder, *words):
    where = ["--runs", str(folder / "runs"), "--data", str(folder / "data"), "--quiet"]
    return [sys.executable, "-m", "raylt", *words, *where]


def run(folder, *words):
    """What a command prints; it must end well."""
    done = subprocess.run(
        command(folder, *words), cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def outcomes(folder):
    """The runs over fresh seeds by digest; each recipe is there once."""
    with closing(studies.open_study("killed", folder / "runs")) as study:
        seeds = open_runs(study)
        with closing(seeds.record):
            runs = seeds.record.outcomes()
            epochs = {o.digest: [e["epoch"] for e in seeds.record.epochs(o.number)] for o in runs}
    assert len(epochs) == len(runs)
    return {outcome.digest: (outcome, epochs[outcome.digest]) for outcome in runs}


def verdicts(answer):
    """What an ablation says, without the seconds of its runs and their scores on other images."""
    result = json.loads(answer)
    effects = [{**effect, "runs": scores(effect["runs"])} for effect in result["effects"]]
    ends = {name: scores(result[name]) for name in ("baseline", "winner")}
    same = ("metric", "seeds", "changes", "interplay", "one_by_one", "path", "sentence")
    return {"effects": effects, **ends, **{name: result[name] for name in same}}


def scores(runs):
    """The accuracies on the validation images by seed."""
    assert not runs["failures"]
    return {
        seed: {name: value for name, value in metrics.items() if name.startswith("val/")}
        for seed, metrics in runs["validation"].items()
    }


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched")
    (folder / "space.yaml").write_text(SPACE)
    run(folder, "tune", "--space", "space.yaml")
    return folder


@pytest.fixture(scope="module")
def killed(searched, tmp_path_factory):
    """The folder of a study that was confirmed, whose ablation was then killed with all of its
    processes; its runs over fresh seeds at that moment."""
    folder = tmp_path_factory.mktemp("killed") / "again"
    shutil.copytree(searched, folder)
    run(folder, "confirm", "killed", "--top", "1", "--seeds", str(SEEDS), "--no-race")
    assert len(outcomes(folder)) == 2 * SEEDS
    process = subprocess.Popen(
        command(folder, "ablate", "killed"), cwd=folder, start_new_session=True, env=os.environ
    )
    end = time.monotonic() + 300
    trials = folder / "runs" / "killed" / "confirm" / "trials"
    while len(list(trials.glob("*/epochs.jsonl"))) < 2 * SEEDS + 5:
        assert process.poll() is None
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
    kill_all(process.pid)
    process.wait()
    return folder, outcomes(folder)


@pytest.fixture(scope="module")
def gone_on(killed):
    """The same folder after the ablation was asked again, and its answer."""
    return killed[0], run(killed[0], "ablate", "killed", "--json")


def test_nothing_is_trained_twice_and_the_result_is_that_of_an_ablation_without_a_kill(
    searched, killed, gone_on, tmp_path
):
    _, before = killed
    folder, answer = gone_on
    after = outcomes(folder)
    finished = [digest for digest, (run, _) in before.items() if run.state == "complete"]
    assert 2 * SEEDS < len(finished) < len(after)
    for digest in finished:
        assert after[digest] == before[digest]
    for outcome, epochs in after.values():
        assert (outcome.state, epochs) == ("complete", [1, 2, 3])
    begun = sum(outcome.attempts > 1 for outcome, _ in after.values())
    assert begun <= len(before) - len(finished)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(searched, undisturbed)
    assert verdicts(run(undisturbed, "ablate", "killed", "--json")) == verdicts(answer)
    # The confirmation's runs were all needed: without it they are trained by the ablation.
    assert outcomes(undisturbed).keys() == after.keys()


def test_a_look_at_the_test_images_is_counted_among_the_openings(gone_on):
    folder, answer = gone_on
    assert (json.loads(answer)["metric"], json.loads(answer)["openings"]) == ("val/accuracy", 1)
    tested = json.loads(run(folder, "ablate", "killed", "--test", "--json"))
    assert (tested["metric"], tested["openings"]) == ("test/accuracy", 2)
    assert "Test set opened 2x" in run(folder, "ablate", "killed", "--test")
    with closing(studies.open_study("killed", folder / "runs")) as study:
        assert "Test set opened 2x" in "".join(confirmation.brief(study))
        confirmed, ablated = test_openings.openings(study)
    assert set(confirmed.recipes) < set(ablated.recipes)


def test_mlflow_has_each_run_of_the_ablation_with_its_role_below_its_trial(gone_on):
    from mlflow import MlflowClient

    folder, _ = gone_on
    with closing(studies.open_study("killed", folder / "runs")) as study:
        sentences = [
            f"{name}: {known['sentence']}" for name, known in ablation.stored(study).items()
        ]
    client = MlflowClient(tracking_uri=store.default_uri(folder / "runs"))
    runs = client.search_runs(
        [client.get_experiment_by_name("killed").experiment_id], max_results=1000
    )
    known = {run.info.run_id: run for run in runs}
    trials = {run.info.run_name: run for run in runs}
    seeds = [run for run in runs if "seed" in run.info.run_name]
    assert len(seeds) == len(outcomes(folder))
    ablated = [run for run in seeds if run.data.tags["role"] == "ablation"]
    heads = {run.info.run_name.partition(",")[0] for run in ablated}
    assert heads == {"only lr", "only tau", "no logit adjustment", "cosine classifier"}
    for run_ in ablated:
        parent = known[run_.data.tags["mlflow.parentRunId"]].info.run_name
        changed = "trial 0 (baseline)" if "only" in run_.info.run_name else "trial 1"
        assert parent == changed
        assert run_.info.status == "FINISHED"
        assert "val/accuracy" in run_.data.metrics
    assert trials["killed"].data.tags["ablation"] == "\n".join(sentences)
