from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from raylt import datasets, recipe
from raylt.data.images import ArrayImages, Images, Splits
from raylt.data.longtail import exponential_counts
from raylt.nn import probe
from raylt.trial.evaluation import pixel_baseline as floors
from raylt.trial.evaluation.pixel_baseline import floor, shrunk


@dataclass(frozen=True, slots=True)
class Large:
    """Pictures of one colour, made when they are asked for; remembers how many at once."""

    labels: NDArray[np.int64]
    side: int
    asked: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        self.asked.append(len(indices))
        shape = (len(indices), 3, self.side, self.side)
        return np.broadcast_to(self.labels[indices, None, None, None] * 20, shape).astype(np.uint8)

    def only(self, indices: NDArray[np.int64]) -> Images:
        return Large(self.labels[indices], self.side, self.asked)


def digits() -> Splits:
    return datasets.load(recipe.dataset({"data": {"name": "digits"}}), Path())


def large(images: int, side: int, classes: int = 10) -> tuple[Splits, Large]:
    made = Large(np.arange(images) % classes, side)
    return replace(
        digits(), train=made, validation=made.only(np.arange(images)), classes=classes
    ), made


def test_small_images_are_looked_at_whole_and_as_they_are() -> None:
    splits = digits()
    rows = [
        part.take(np.arange(len(part))).reshape(len(part), -1) / np.float32(255)
        for part in (splits.train, splits.validation)
    ]
    truth = splits.validation.labels
    expected = {
        "neighbour": KNeighborsClassifier(n_neighbors=1),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    result = floor(splits, splits.train)
    assert set(result) == {
        f"floor/{model}/{group}"
        for model in expected
        for group in ("accuracy", "many", "medium", "few")
    }
    for name, model in expected.items():
        right = model.fit(rows[0], splits.train.labels).predict(rows[1]) == truth
        # The digits' validation set is balanced, so that the mean over classes is the plain one.
        assert result[f"floor/{name}/accuracy"] == pytest.approx(right.mean(), abs=1e-12)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (32, 1)])
def test_images_up_to_the_side_are_not_touched(height: int, width: int) -> None:
    images = np.random.default_rng(0).random((3, 2, height, width), np.float32)
    assert shrunk(images, 32) is images


def test_shrinking_averages() -> None:
    images = np.random.default_rng(0).random((3, 2, 64, 32), np.float32)
    expected = images.reshape(3, 2, 16, 4, 16, 2).mean((3, 5))
    np.testing.assert_allclose(shrunk(images, 16), expected, rtol=1e-6)
    assert shrunk(np.ones((1, 1, 224, 30), np.float32), 32).shape == (1, 1, 32, 30)


def test_large_pictures_are_decoded_in_blocks_and_still_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(floors, "BLOCK", 16)
    monkeypatch.setattr(floors, "SIDE", 8)
    splits, made = large(60, 96)
    result = floor(splits, splits.train)
    assert result["floor/neighbour/accuracy"] == result["floor/logistic/accuracy"] == 1
    assert made.asked == [16, 16, 16, 12] * 2


def test_many_images_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floors, "ENOUGH", 50)
    splits, made = large(300, 8)
    assert floor(splits, splits.train)["floor/neighbour/accuracy"] == 1
    assert made.asked == [50, 50]


@pytest.mark.parametrize(("largest", "classes"), [(5000, 10), (500, 100)])
def test_the_published_cifar_tails_are_looked_at_whole(largest: int, classes: int) -> None:
    assert sum(exponential_counts(largest, classes, 100)) <= floors.ENOUGH


def test_many_classes_do_not_make_a_huge_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(floors, "WEIGHTS", 10 * 3 * 4 * 4)
    fit = probe.logistic

    def noted(features: Tensor, labels: Tensor, **settings: Any) -> probe.Head:
        seen.append(tuple(features.shape))
        return fit(features, labels, **settings)

    monkeypatch.setattr(probe, "logistic", noted)
    splits, _ = large(100, 32)
    assert floor(splits, splits.train)["floor/logistic/accuracy"] == 1
    assert seen == [(100, 3 * 4 * 4)]


def test_there_is_no_floor_without_validation_images() -> None:
    splits = digits()
    nothing = ArrayImages(np.empty((0, 1, 8, 8), np.uint8), np.empty(0, np.int64))
    assert floor(replace(splits, validation=nothing), splits.train) == {}
