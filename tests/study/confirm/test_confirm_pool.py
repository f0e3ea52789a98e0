"""`raylt confirm --retrain pool` on the digits, from the command line to the report."""

import contextlib
import json

import numpy as np
import pytest

from raylt import cli, datasets
from raylt import recipe as recipes
from raylt.study.confirm import scoring
from raylt.study.confirm.runs import open_runs
from raylt.study.record import studies
from raylt.study.verdict import test_openings
from tests.study.drive import toy

pytestmark = pytest.mark.timeout(900)

# Two settings that differ, so that there is a winner to be confirmed.
SPACE = (
    "study.points=[{method.temperature: 0.3, method.prune: 0.3}]",
    "study.trials=2",
    "study.scheduler={name: none}",
    "study.confirm={top: 1, seeds: 5}",
    "size=8",
    "epochs=2",
    "data={name: digits, imbalance: 20, validation: 20}",
    "evaluation.labels=tail",
)


def images_of(part):
    """The images of a part of a study as bytes."""
    return {image.tobytes() for image in part.take(np.arange(len(part.labels)))}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder of a search, and the words that confirm its winner on the whole pool."""
    folder = tmp_path_factory.mktemp("pool")
    toy(folder)
    where = ["--runs", str(folder / "runs"), "--data", str(folder / "data")]
    assert cli.run(["tune", "-s", str(folder / "space.yaml"), *where, "--quiet", *SPACE]) == 0
    return folder, ["confirm", "toy", *where, "--quiet", "--retrain", "pool"]


@pytest.fixture(scope="module")
def record(searched):
    """The study whose winner was confirmed on the whole pool."""
    folder, words = searched
    assert cli.run(words) == 0
    with contextlib.closing(studies.open_study("toy", folder / "runs")) as opened:
        yield opened


@pytest.mark.ray
@pytest.mark.slow
def test_the_validation_images_are_in_the_pool_of_every_run_and_no_test_image_is(record):
    before = datasets.load(recipes.parse(dict(record.outcome(0).recipe)).data, record.folder)
    held_out = images_of(before.validation)
    assert held_out.isdisjoint(images_of(before.train))
    runs = open_runs(record, validated=False).record
    with contextlib.closing(runs):
        outcomes = runs.outcomes()
        assert [trial.state for trial in outcomes] == ["complete"] * 10
        assert {trial.recipe["seed"] for trial in outcomes} == {1, 2, 3, 4, 5}
        for trial in outcomes:
            whole = recipes.parse(dict(trial.recipe))
            splits = datasets.load(whole.data, runs.folder)
            assert len(splits.validation.labels) == 0
            taken = images_of(splits.train)
            assert len(taken & held_out) > 20
            assert taken.isdisjoint(images_of(splits.test))
            tested = scoring.read(runs.trial_folder(trial.number), digest=trial.digest)
            # What was trained has the counts of the whole tail, and so has what was tested.
            assert tested["train_counts"] == list(whole.data.train_counts())
            assert sum(tested["train_counts"]) > sum(before.train_counts)
            assert tested["metrics"]["test/accuracy"] > 0.1
            assert len(tested["predictions"]) == len(splits.test.labels)


@pytest.mark.ray
@pytest.mark.slow
def test_the_opening_is_counted_once_and_every_result_tells_of_the_pool(
    record, searched, capsys, tmp_path
):
    runs, name = str(record.folder.parent), record.name
    (opening,) = test_openings.openings(record)
    assert len(opening.recipes) == 10
    # Asked again, nothing is trained or opened: it is shown.
    assert cli.run([*searched[1], "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["retrain"], printed["openings"]) == ("pool", 1)
    assert len(printed["candidates"][0]["runs"]["test"]) == 5
    assert cli.run(searched[1]) == 0
    assert "Trained on the whole training pool" in capsys.readouterr().out
    assert cli.run(["best", name, "--runs", runs]) == 0
    text = capsys.readouterr().out
    assert "Test set opened 1x" in text
    assert cli.run(["report", name, "--runs", runs, "--output", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "Test set opened 1x" in page
    assert "whole training pool, validation images included" in page
