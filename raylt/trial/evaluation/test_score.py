"""The one place that scores the sealed test images: a finished run, for `raylt confirm` alone.

Who calls it writes the opening into the study first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from raylt import datasets
from raylt.metrics import groups_of
from raylt.recipe import Recipe
from raylt.schema import EnvironmentError
from raylt.trial import parts
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation.score import score


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a trained run does on the test images; plain values, to be kept as JSON."""

    digest: str
    """Of the recipe that was trained."""
    metrics: dict[str, float]
    """As of a scored epoch, fractions: of the last one under `test/...`, and the accuracies of the
    one that validation would choose under `test/best/...`, where its checkpoint is there."""
    predictions: list[int]
    """The predicted class of each test image, after the last epoch."""
    labels: list[int]
    """The true ones."""
    train_counts: list[int]
    """Training images of each class."""
    best_predictions: list[int] = field(default_factory=list[int])
    """As `predictions`, of the epoch that validation would choose; empty without its
    checkpoint."""


def open_test(recipe: Recipe, *, root: Path, folder: Path, device: str | None) -> Opened:
    """Score a finished run on the test images: its last epoch, and the best on validation.

    Args:
        folder: The run's folder, with its checkpoints.
        device: "cpu", "cuda", ... or None for a GPU where there is one.

    Raises:
        EnvironmentError: the checkpoint of the last epoch is missing or damaged.
    """
    where = parts.device_of(device)
    splits = datasets.load(recipe.data, root)
    method = parts.method_of(recipe, splits, where)
    newest = checkpoint.latest(folder, recipe.digest, method=method)
    if newest is None or newest.epoch != recipe.epochs:
        raise EnvironmentError(
            f"{folder} must hold the checkpoint of epoch {recipe.epochs}, but holds "
            f"{f'that of epoch {newest.epoch}' if newest else 'none'}; restore it from a copy, or "
            f"remove the folder and confirm again"
        )
    method.load_state_dict(newest.method)
    last = scored = score(method, splits, splits.test, recipe, device=where)
    metrics = {f"test/{name}": value for name, value in last.metrics.items()}
    best = checkpoint.best(folder, recipe.digest, method=method)
    chosen: list[int] = []
    if best is not None:
        if best.epoch != recipe.epochs:
            method.load_state_dict(best.method)
            scored = score(method, splits, splits.test, recipe, device=where)
        metrics |= groups_of(scored.metrics, of="", to="test/best/")
        chosen = scored.predictions.tolist()
    return Opened(
        digest=recipe.digest,
        metrics=metrics,
        predictions=last.predictions.tolist(),
        labels=last.labels.tolist(),
        train_counts=list(splits.train_counts),
        best_predictions=chosen,
    )
