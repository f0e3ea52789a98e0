from pathlib import Path

import numpy as np
import pytest
import torch

from raylt.data import batches
from raylt.nn import second_stage
from raylt.trial import parts
from raylt.trial.evaluation.score import classifier, score
from tests import distributed
from tests.trial.made import small


def scored():
    torch.set_num_threads(1)
    recipe, cpu = small(), torch.device("cpu")
    splits = parts.splits_of(recipe, Path("unused"))
    method = parts.method_of(recipe, splits, cpu)
    # A number that neither two nor three divide, so that a worker has to repeat an image.
    images = splits.validation.only(np.arange(299))
    result = score(method, splits, images, recipe, device=cpu)
    return result.metrics, result.predictions.tolist()


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_images_shared_out_over_workers_score_as_in_one(workers):
    alone = scored()
    assert distributed.run(scored, workers=workers) == [alone] * workers


def test_a_method_fits_its_own_probe_on_the_training_images_whatever_the_recipe_names():
    recipe, cpu = small(evaluation={"labels": "balanced"}), torch.device("cpu")
    splits = parts.splits_of(recipe, Path("unused"))
    assert len(splits.balanced) != len(splits.train)
    method, seen = parts.method_of(recipe, splits, cpu), []

    def fit(features, labels):
        seen.append((features, labels))
        return lambda rows: torch.eye(splits.classes)[torch.full((len(rows),), 3)]

    method.probe = lambda: fit
    result = score(method, splits, splits.validation, recipe, device=cpu)
    assert set(result.predictions.tolist()) == {3}
    classify = classifier(method, splits, recipe, device=cpu)
    assert classify(torch.rand(2, 1, recipe.size, recipe.size)).argmax(1).tolist() == [3, 3]
    for features, labels in seen:
        assert labels.tolist() == splits.train.labels.tolist()
        assert features.shape == (len(splits.train), method.encoder.width)


@pytest.mark.parametrize(
    ("name", "stage"),
    [("class-balanced", second_stage.class_balanced), ("ldam", second_stage.ldam)],
)
def test_a_second_stage_classifies_by_the_labels_that_the_recipe_names(name, stage):
    recipe, cpu = small(evaluation={"labels": "tail", "probe": name}), torch.device("cpu")
    splits = parts.splits_of(recipe, Path("unused"))
    method = parts.method_of(recipe, splits, cpu).eval()
    method.classifier = lambda: None
    result = score(method, splits, splits.validation, recipe, device=cpu)
    truth = torch.from_numpy(splits.train.labels)
    with torch.no_grad():
        seen, asked = (
            torch.cat([*map(method.encode, plain(images, recipe))])
            for images in (splits.train, splits.validation)
        )
    head = stage(seen, truth, classes=splits.classes, seed=recipe.seed)
    assert result.predictions.tolist() == head(asked).argmax(1).tolist()
    assert len(set(result.predictions.tolist())) > 1


def plain(images, recipe):
    return batches.plain(
        images, np.arange(len(images)), size=recipe.size, device=torch.device("cpu")
    )
