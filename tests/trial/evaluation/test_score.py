from pathlib import Path

import numpy as np
import pytest
import torch

from raylt.trial import parts
from raylt.trial.evaluation.score import score
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
