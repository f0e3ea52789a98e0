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
from raylt.nn import probe, second_stage
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
    scorer = _Scorer(method, splits, recipe, device)
    features, known = scorer.over(images), scorer.over(scorer.labelled)
    classify = method.classifier()
    if classify is None:
        validation = features
        if images is not splits.validation and recipe.evaluation.probe == "reforward":
            validation = scorer.validation(known)
        predictions = scorer.head(known, validation)(features).argmax(1)
    else:
        predictions = scorer.over(images, classify).argmax(1)
    neighbours = probe.neighbours(
        known,
        scorer.labels(scorer.labelled),
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
    scorer = _Scorer(method, splits, recipe, device)
    known = scorer.over(scorer.labelled)
    head = scorer.head(known, scorer.validation(known))
    return lambda images: head(method.encode(images).float())


@dataclass(frozen=True, slots=True)
class _Scorer:
    """What the features of a method are computed and classified with."""

    method: Method
    splits: Splits
    recipe: Recipe
    device: torch.device

    @property
    def labelled(self) -> Images:
        return labelled(self.splits, self.recipe.evaluation)

    def labels(self, images: Images) -> Tensor:
        return torch.from_numpy(images.labels).to(self.device)

    def over(
        self, images: Images, function: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "n d"]:
        """`function` of every image, its features without one, in order, each computed by one
        worker; float32."""
        function = function or self.method.encode
        world, rank, n = collectives.world(), collectives.rank(), len(images)
        share = -(-n // world)
        # Every worker takes equally many, so the last ones repeat an image, which the cut drops.
        mine = np.minimum(np.arange(rank * share, (rank + 1) * share), n - 1)
        views = batches.plain(images, mine, size=self.recipe.size, device=self.device)
        return collectives.gather(torch.cat([function(part).float() for part in views]))[:n]

    def validation(self, known: Float[Tensor, "n d"]) -> Float[Tensor, "v d"]:
        """Features of the validation images, none where nothing is held out."""
        return self.over(self.splits.validation) if len(self.splits.validation) else known[:0]

    def head(self, known: Float[Tensor, "n d"], validation: Float[Tensor, "v d"]) -> probe.Head:
        """The method's probe, or the recipe's from the labelled images or their features."""
        images, classes = self.labelled, self.splits.classes
        kind, early = self.recipe.evaluation.probe, self.recipe.evaluation.early_falls
        if (own := self.method.probe()) is not None:
            training = known if images is self.splits.train else self.over(self.splits.train)
            return own(training, self.labels(self.splits.train))
        if kind == "reforward":
            return linear_evaluation.fitted(
                self.method.encode,
                images,
                validation,
                self.labels(self.splits.validation),
                self.recipe,
                classes=classes,
                device=self.device,
            )
        truth, seed = self.labels(images), self.recipe.seed
        if kind == "class-balanced":
            return second_stage.class_balanced(known, truth, classes=classes, seed=seed)
        if kind == "ldam":
            return second_stage.ldam(known, truth, classes=classes, seed=seed)
        # The published schedule for few labels is longer: 100 epochs against 30.
        few = self.recipe.evaluation.labels == "few-shot"
        plan = linear_evaluation.protocol(size=self.recipe.size, few=few, early=early)
        return probe.linear(
            known,
            truth,
            classes=classes,
            kind="sgd-few-shot" if few and kind == "sgd" else kind,
            early=early,
            batch_size=plan.batch_size,
            seed=seed,
        )
