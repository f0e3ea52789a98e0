"""The test images: out of reach while training, scored by one function, the same each time."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import raylt
from raylt import datasets
from raylt.data.images import Sealed
from raylt.schema import EnvironmentError
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import test_score
from raylt.trial.evaluation.score import score
from tests.trial.made import run, small

CPU = torch.device("cpu")
_LOOKS = r"\bsplits\.test\b|import.*\btest_score\b|evaluation\.test_score:"


def opened(recipe, folder):
    return test_score.open_test(recipe, root=Path("unused"), folder=folder, device="cpu")


def test_training_has_no_way_to_the_test_images():
    test = parts.splits_of(small(), Path("unused")).test
    assert isinstance(test, Sealed)
    looks = [
        lambda: len(test),
        lambda: test.labels,
        lambda: test.take(np.zeros(1, int)),
        lambda: test.only(np.zeros(1, int)),
    ]
    for look in looks:
        with pytest.raises(PermissionError, match="raylt confirm"):
            look()


def test_only_confirm_and_ablate_open_the_seal():
    package = Path(raylt.__file__).parent
    uses = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(_LOOKS, path.read_text("utf-8"))
    }
    # The contract of a dataset looks at the shapes of its own images, and the search for copies
    # at the bytes of files; no model does.
    contract = "testing/__init__.py"
    assert uses == {
        "data/reading/copies.py",
        "trial/evaluation/test_score.py",
        "study/confirm/candidates.py",
        "study/ablate/ablate.py",
        contract,
    }
    for path in (contract, "data/reading/copies.py"):
        assert "test_score" not in (package / path).read_text("utf-8")


@pytest.mark.parametrize("method", ["simclr", "bcl"])
def test_a_finished_run_is_scored_on_every_test_image_alike_each_time(method, tmp_path):
    recipe = small(method, epochs=2)
    run(recipe, tmp_path)
    study = opened(recipe, tmp_path)
    test = datasets.load(recipe.data, Path("unused")).test
    assert study.labels == test.labels.tolist()
    right = np.equal(study.predictions, study.labels)
    # 40 test images of every digit, so the mean over classes is that over images.
    assert study.metrics["test/accuracy"] == pytest.approx(right.mean())
    assert study.digest == recipe.digest
    assert sum(study.train_counts) == 351
    assert opened(recipe, tmp_path) == study


def test_the_epoch_that_validation_would_choose_is_tested_beside_the_last(tmp_path):
    # Far too large steps: the accuracy falls again.
    recipe = small("bcl", epochs=6, optimizer={"lr": 1.0, "batch_size": 64})
    reports = run(recipe, tmp_path)
    chosen = max(reports, key=lambda entry: entry["val/accuracy"])
    assert chosen["epoch"] < 6
    whole = opened(recipe, tmp_path)
    result = whole.metrics
    kept = checkpoint.best(tmp_path, recipe.digest)
    assert kept.epoch == chosen["epoch"]
    splits = datasets.load(recipe.data, Path("unused"))
    method = parts.method_of(recipe, splits, CPU)
    method.load_state_dict(kept.method)
    expected = score(method, splits, splits.test, recipe, device=CPU).metrics
    for name in ("accuracy", "many", "medium", "few"):
        assert result[f"test/best/{name}"] == expected[name]
    assert result["test/accuracy"] != result["test/best/accuracy"]
    right = np.equal(whole.best_predictions, whole.labels)
    assert result["test/best/accuracy"] == pytest.approx(right.mean())
    # Without its checkpoint only the last epoch is known.
    (tmp_path / checkpoint.BEST).unlink()
    left = opened(recipe, tmp_path)
    assert left.metrics == {name: value for name, value in result.items() if "best" not in name}
    assert left.best_predictions == []


def test_a_run_that_is_not_finished_is_not_scored(tmp_path):
    with pytest.raises(EnvironmentError, match="epoch 2, but holds none"):
        opened(small(epochs=2), tmp_path)
