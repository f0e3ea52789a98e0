"""Predictions of a method on a part of the data, and what they are worth per class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from raylt import collectives, metrics
from raylt.data import batches
from raylt.data.images import Images, Splits
from raylt.methods._base import Classifier, Method
from raylt.nn import probe
from raylt.recipe import Evaluation, Recipe
from raylt.trial.evaluation import linear_evaluation


@dataclass(frozen=True, slots=True)
class Score:
    """How well a method does on one part of the data."""

    metrics: dict[str, float]
    """`raylt.metrics.summary` of the predictions, and `knn`; fractions."""
    predictions: NDArray[np.int64]
    """The classifier's class for each image, (n,)."""
    labels: NDArray[np.int64]
    """The true classes, (n,)."""


def labelled(splits: Splits, evaluation: Evaluation) -> Images:
    """The images whose labels a probe may see: a named choice, recorded with every number."""
    return {
        "balanced": splits.balanced,
        "tail": splits.train,
        "few-shot": splits.few_shot,
    }[evaluation.labels]


@torch.no_grad()
def score(
    method: Method, splits: Splits, images: Images, recipe: Recipe, *, device: torch.device
) -> Score:
    """Classify `images` with the method's own classifier or a probe, and by nearest neighbours.

    With several workers each image is encoded by one of them, and every worker returns the same
    score; that of no images at all is empty.
    """
    if not len(images):
        return Score({}, np.empty(0, np.int64), images.labels)
    method.eval()
    reference = labelled(splits, recipe.evaluation)
    features = _over(images, method.encode, recipe, device)
    known = _over(reference, method.encode, recipe, device)
    classify = method.classifier()
    if classify is None:
        validation = features
        if images is not splits.validation and recipe.evaluation.probe == "reforward":
            validation = _validation(method, splits, known, recipe, device)
        head = _head(method, known, validation, splits, recipe, device)
        predictions = head(features).argmax(1)
    else:
        predictions = _over(images, classify, recipe, device).argmax(1)
    neighbours = probe.neighbours(
        known,
        _labels(reference, device),
        features,
        classes=splits.classes,
        k=recipe.evaluation.neighbours,
    )
    predicted = predictions.cpu().numpy()
    summary = metrics.summary(predicted, images.labels, splits.train_counts)
    summary["knn"] = float(np.mean(neighbours.cpu().numpy() == images.labels))
    return Score(summary, predicted, images.labels)


@torch.no_grad()
def classifier(
    method: Method, splits: Splits, recipe: Recipe, *, device: torch.device
) -> Classifier:
    """Images -> logits as they are scored: the method's own classifier, or the fitted probe."""
    method.eval()
    own = method.classifier()
    if own is not None:
        return own
    known = _over(labelled(splits, recipe.evaluation), method.encode, recipe, device)
    validation = _validation(method, splits, known, recipe, device)
    head = _head(method, known, validation, splits, recipe, device)
    return lambda images: head(method.encode(images).float())


def _head(
    method: Method,
    known: Float[Tensor, "n d"],
    validation: Float[Tensor, "v d"],
    splits: Splits,
    recipe: Recipe,
    device: torch.device,
) -> probe.Head:
    """The method's probe, or the recipe's from the labelled images or their features `known`."""
    images, kind = labelled(splits, recipe.evaluation), recipe.evaluation.probe
    own = method.probe()
    if own is not None:
        training = (
            known if images is splits.train else _over(splits.train, method.encode, recipe, device)
        )
        return own(training, _labels(splits.train, device))
    if kind == "reforward":
        return linear_evaluation.fitted(
            method.encode,
            images,
            validation,
            _labels(splits.validation, device),
            recipe,
            classes=splits.classes,
            device=device,
        )
    # The published schedule for few labels is longer: 100 epochs against 30 in SDCLR's scripts.
    few = recipe.evaluation.labels == "few-shot"
    plan = linear_evaluation.protocol(
        size=recipe.size, few=few, early=recipe.evaluation.early_falls
    )
    return probe.linear(
        known,
        _labels(images, device),
        classes=splits.classes,
        kind="sgd-few-shot" if few and kind == "sgd" else kind,
        early=recipe.evaluation.early_falls,
        batch_size=plan.batch_size,
        seed=recipe.seed,
    )


def _validation(
    method: Method,
    splits: Splits,
    known: Float[Tensor, "n d"],
    recipe: Recipe,
    device: torch.device,
) -> Float[Tensor, "v d"]:
    """Features of the validation images, none where nothing is held out."""
    if not len(splits.validation):
        return known[:0]
    return _over(splits.validation, method.encode, recipe, device)


def _labels(images: Images, device: torch.device) -> Tensor:
    return torch.from_numpy(images.labels).to(device)


def _over(
    images: Images, function: Callable[[Tensor], Tensor], recipe: Recipe, device: torch.device
) -> Float[Tensor, "n d"]:
    """`function` of every image, in order, each computed by one worker; float32."""
    world, rank, n = collectives.world(), collectives.rank(), len(images)
    share = -(-n // world)
    # Every worker takes equally many, so the last ones repeat an image; the cut below drops it.
    mine = np.minimum(np.arange(rank * share, (rank + 1) * share), n - 1)
    parts = [
        function(views).float()
        for views in batches.plain(images, mine, size=recipe.size, device=device)
    ]
    return collectives.gather(torch.cat(parts))[:n]
