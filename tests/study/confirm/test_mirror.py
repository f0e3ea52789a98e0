import contextlib

import pytest

from raylt.study.confirm import candidates, confirm, question
from raylt.study.confirm.mirror import SeedMirror
from raylt.study.confirm.runs import Setting
from raylt.study.tracking import tracker
from tests.study import drive
from tests.study.confirm.made import Now, options, settings


def test_the_tags_say_which_trial_a_run_repeats_and_what_it_is_where_that_is_none(
    toy, store, tmp_path
):
    with contextlib.closing(toy.open()) as study:
        baseline, (winner,) = candidates.choose(study, options())
        part = Setting(
            name="no pruning",
            number=winner.number,
            role="ablation",
            point=winner.point,
            recipe={**winner.recipe, "method": {**winner.recipe["method"], "prune": 0.0}},
        )
        with question.seed_runs(study, validated=True) as runs:
            runs.queue((setting, 7) for setting in (part, winner, baseline))
            Now(settings(tmp_path)).trials(runs.record)
            above = tracker.open_mirror(study, uri=store, artifacts=tmp_path / "a", command="")
            mirror = SeedMirror(above, study, runs)
            for number in mirror.missing():
                mirror.trial(number, interrupted=False)
            client = mirror.runs.client
            tags = {
                run.info.run_name: {key: run.data.tags.get(key) for key in ("setting", "trial")}
                for run in client.search_runs([mirror.runs.experiment])
            }
    assert tags == {
        "toy": {"setting": None, "trial": None},
        "trial 0 (baseline)": {"setting": None, "trial": "0"},
        "trial 1": {"setting": None, "trial": "1"},
        "trial 2": {"setting": None, "trial": "2"},
        "no pruning, seed 7": {"setting": "no pruning", "trial": None},
        "trial 1, seed 7": {"setting": "trial 1", "trial": "1"},
        "baseline, seed 7": {"setting": "baseline", "trial": "0"},
    }


@pytest.mark.ray
@pytest.mark.slow
def test_ray_trains_and_tests_the_runs_and_mlflow_has_them_under_their_trials(
    study, store, tmp_path
):
    drive.behave(tmp_path)
    points = "[{method.temperature: 0.3, method.prune: 0.5}]"
    made = study(f"study.points={points}", "study.trials=2", "study.scheduler.name=none")
    Now(settings(tmp_path)).trials(made)
    made.close()
    confirmed = confirm.confirm("toy", settings(tmp_path), options())
    assert (confirmed.candidates[0].verdict.word, confirmed.notices) == ("better", ())

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    runs = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    parents = [
        (names[run.data.tags["mlflow.parentRunId"]], run.info.run_name)
        for run in runs
        if "mlflow.parentRunId" in run.data.tags
    ]
    searched = {"trial 0 (baseline)": "baseline", "trial 1": "trial 1"}
    assert sorted(parents) == sorted(
        [("toy", name) for name in searched]
        + [(name, f"{searched[name]}, seed {seed}") for name in searched for seed in range(1, 6)]
    )
    by_name = {run.info.run_name: run for run in runs}
    assert by_name["trial 1"].data.tags["verdict"] == "better"
    assert by_name["toy"].data.tags["test_openings"] == "1"
    assert by_name["toy"].info.status == "FINISHED"
    assert all("test/accuracy" in r.data.metrics for r in runs if "seed" in r.info.run_name)
    # The description of the study says what was found, before the ranking.
    words = by_name["toy"].data.tags["mlflow.note.content"]
    verdict = words.index("Trial 1 is confirmed: better than the baseline, +")
    assert verdict < words.index("| trial | state |")
    assert "Test set opened 1x" in words
    files = client.list_artifacts(by_name["toy"].info.run_id, "charts")
    assert "charts/paid.png" in [file.path for file in files]
