"""A work function that trains nothing: what is left is what a search costs by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raylt.recipe import Recipe


def work(
    recipe: Recipe, *, root: Path, folder: Path, report: Callable[[dict[str, float]], None],
    device: str | None,
) -> None:  # fmt: skip
    """Report every epoch at once, with numbers that depend on the recipe."""
    quality = 1 - abs(recipe.optimizer.lr - 0.3)
    for epoch in range(1, recipe.epochs + 1):
        accuracy = quality * (1 - 0.5**epoch)
        report(
            {
                "epoch": epoch, "val/accuracy": accuracy, "val/many": accuracy,
                "val/few": accuracy, "train/loss": 1 / epoch, "lr": 0.1,
                "images_per_second": 1.0,
            }
        )  # fmt: skip
