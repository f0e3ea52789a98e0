from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raylt import datasets, recipe
from raylt.data.longtail import hold_out
from raylt.datasets import digits
from raylt.schema import InputError
from raylt.settings import Settings
from raylt.space import metrics_check
from raylt.space.metric_names import METRICS
from raylt.space.plan import Study
from raylt.study.run import plan
from tests.space.made import loaded

NO_TAIL = {"data.validation": 0}


@pytest.mark.parametrize(
    "study",
    [
        {"objective": "val/accuracy"},
        {"objective": ["train/loss", "val/knn"], "scheduler": {"metric": "train/loss"}},
        {"objective": "train/loss", "scheduler": {"metric": "val/few"}},
        {"objective": "train/loss", "constraints": [{"metric": "val/many", "min": 0.5}]},
    ],
)
def test_nothing_is_measured_on_images_that_are_not_held_out(
    tmp_path: Path, study: Mapping[str, Any]
) -> None:
    message = r"yaml:\d+: data\.validation: must be at least 1, since study\..* is val/.*raise it"
    with pytest.raises(InputError, match=message):
        loaded(tmp_path, study, NO_TAIL)


def test_the_whole_tail_can_be_trained_on_if_the_loss_is_watched(tmp_path: Path) -> None:
    space = loaded(tmp_path, {"objective": "train/loss"}, NO_TAIL)
    assert space.at({}).data.train_counts() != loaded(tmp_path, {}, {}).at({}).data.train_counts()


def test_a_probe_that_chooses_its_epoch_needs_images_to_choose_by(tmp_path: Path) -> None:
    study = {"objective": "train/loss"}
    with pytest.raises(InputError, match=r"evaluation\.selection: must be last where data\.valid"):
        loaded(tmp_path, study, {**NO_TAIL, "evaluation.probe": "reforward"})
    last = {"evaluation.probe": "reforward", "evaluation.selection": "last"}
    loaded(tmp_path, study, {**NO_TAIL, **last})


def test_everything_that_a_study_looks_at_is_named() -> None:
    study = Study.model_validate(
        {
            "name": "s",
            "objective": ["val/few", "val/many"],
            "constraints": [{"metric": "val/std", "max": 0.1}],
            "scheduler": {"metric": "val/knn"},
        }
    )
    assert dict(metrics_check.metrics_of(study)) == {
        "study.objective.0": "val/few",
        "study.objective.1": "val/many",
        "study.constraints.0.metric": "val/std",
        "study.scheduler.metric": "val/knn",
    }
    quiet = Study.model_validate({"name": "s", "scheduler": {"name": "none"}})
    assert dict(metrics_check.metrics_of(quiet)) == {"study.objective": "val/accuracy"}


def test_a_metric_without_classes_is_told_with_the_counts() -> None:
    counts = [500, 200, 120]
    assert {m for m in METRICS if metrics_check.no_classes(m, counts)} == {
        "val/medium",
        "val/few",
        "val/best/medium",
        "val/best/few",
        "val/shots/std",
    }
    assert metrics_check.no_classes("val/few", counts) == (
        "must be a group that has classes, but got val/few, which needs a class with < 20 "
        "training images, and the training counts are 500, 200, 120; there are many"
    )
    assert metrics_check.no_classes("val/thirds/few", [9, 8]) is not None
    spread = metrics_check.no_classes("val/shots/std", counts)
    assert spread is not None
    assert spread.startswith(
        "must be a group that has classes, but got val/shots/std, which needs"
    )
    assert "20 to 100 training images" in spread
    assert metrics_check.no_classes("val/shots/std", [500, 50, 5]) is None


def test_who_chooses_the_best_epoch_as_objective_is_told_that_it_flatters(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"objective": "val/accuracy"}, {}).warnings == ()
    (warning,) = loaded(tmp_path, {"objective": "val/best/few"}, {}).warnings
    assert warning.startswith("study.objective: val/best/few is of the best epoch")
    assert "luck flatters it" in warning
    assert "test/best/few" in warning
    bounded = {"objective": "val/few", "constraints": [{"metric": "val/best/many", "min": 0.5}]}
    assert loaded(tmp_path, bounded, {}).warnings == ()


def check_with(folder: Path, study: Mapping[str, Any], of_each: int) -> None:
    """Check a study on digits of which an index file names the training images."""
    target = load_digits().target
    pool = np.delete(target, hold_out(target, [digits.TEST] * digits.CLASSES))
    chosen = [np.flatnonzero(pool == k)[:of_each] for k in range(digits.CLASSES)]
    np.save(folder / "equal.npy", np.concatenate(chosen))
    space = loaded(folder, study, {"data.indices": "equal.npy"})
    plan.check(space, Settings(data=folder, runs=folder / "runs"))


def test_counts_that_only_the_files_tell_are_looked_at_before_anything_starts(
    tmp_path: Path,
) -> None:
    for study, key in (
        ({"objective": "val/few"}, "objective"),
        ({"constraints": [{"metric": "val/few", "min": 0.5}]}, "constraints.0.metric"),
        ({"scheduler": {"metric": "val/few"}}, "scheduler.metric"),
    ):
        message = (
            rf"space\.yaml: study\.{key}: must be a group .*< 20 .* 25, 25, .*there are medium"
        )
        with pytest.raises(InputError, match=message):
            check_with(tmp_path, study, 25)
    assert not (tmp_path / "runs").exists()
    check_with(tmp_path, {"objective": "val/few"}, 15)
    check_with(tmp_path, {"objective": "val/best/few"}, 15)


def test_a_group_without_validation_images_cannot_be_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = datasets.load(recipe.dataset({"data": {"name": "digits"}}), tmp_path)
    held_out = whole.validation
    counts = np.array(whole.train_counts)
    heads = held_out.only(np.flatnonzero(counts[held_out.labels] > 100))
    monkeypatch.setattr(datasets, "load", lambda *_: dataclasses.replace(whole, validation=heads))
    settings = Settings(data=tmp_path, runs=tmp_path / "runs")
    message = "study.objective: must be a group that has validation images, but got val/few"
    with pytest.raises(InputError, match=message):
        plan.check(loaded(tmp_path, {"objective": "val/few"}, {}), settings)
    plan.check(loaded(tmp_path, {"objective": "val/many"}, {}), settings)
