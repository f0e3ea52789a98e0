import contextlib
import sqlite3

import pytest

from raylt.schema import InputError
from raylt.space.file import document
from raylt.study.confirm import candidates, confirm
from tests.study import made
from tests.study.confirm.made import options, settings


def test_a_dataset_that_needs_validation_images_is_not_trained_whole(toy):
    trial = toy.open().outcome(0)
    recipe = {**trial.recipe, "evaluation": {**trial.recipe["evaluation"], "probe": "reforward"}}
    with pytest.raises(InputError, match=r"selection must be last.*--retrain split"):
        candidates._setting(toy.open(), trial, "candidate", recipe, options(retrain="pool"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 3}, "at least 5 to compare a winner"),
        ({"top": 2, "seeds": 5}, "the smallest p-value of 5 paired seeds is 1/32"),
        ({"seeds": 41}, "seeds must be <= 40, but got 41"),
    ],
)
def test_a_plan_that_cannot_reach_the_level_is_refused_with_the_arithmetic(toy, changes, message):
    with pytest.raises(InputError, match=message):
        toy.confirm(**changes)
    assert not (toy.folder / "confirm").exists()


def test_there_must_be_somebody_to_compare(study, tmp_path):
    study("study.trials=1", "study.scheduler.name=none").close()
    with pytest.raises(InputError, match="raylt resume toy"):
        confirm.confirm("toy", settings(tmp_path), options())
    with pytest.raises(InputError, match="begin one with `raylt tune --space sdclr`"):
        confirm.confirm("nothing", settings(tmp_path), options())


def test_a_study_that_began_without_a_baseline_is_confirmed_against_the_published_one(toy):
    # As version 0.1.0 left it: the space names no baseline, and no trial is one.
    path = toy.folder / "space.yaml"
    values = document.read(path).values
    del values["study"]["baseline"]
    path.write_text(document.dump(values), "utf-8")
    with contextlib.closing(sqlite3.connect(toy.folder / "study.db")) as database, database:
        (count,) = database.execute(
            "SELECT count(*) FROM trial_user_attributes WHERE value_json = '\"baseline\"'"
        ).fetchone()
        database.execute(
            "UPDATE trial_user_attributes SET value_json = '\"point\"' "
            "WHERE value_json = '\"baseline\"'"
        )
    assert count == 1
    assert toy.open().baseline() is None
    verdict = toy.confirm()
    assert verdict.exit_code == 0
    assert toy.open().baseline().point == {"method.temperature": 0.2, "method.prune": 0.9}
    assert verdict.baseline.trial == 3
    assert [candidate.runs.trial for candidate in verdict.candidates] == [1]


def test_one_run_has_nothing_to_compare(tmp_path):
    made.one_run(tmp_path / "runs", facts={"data_of": "many"}).close()
    with pytest.raises(InputError, match=r"^one: one run has nothing .*raylt confirm many"):
        confirm.confirm("one", settings(tmp_path), options())
