"""Work functions that train nothing: what is left is what a search costs by itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from raylt.recipe import Recipe


def work(
    recipe: Recipe,
    *,
    root: Path,
    folder: Path,
    report: Callable[[dict[str, float]], None],
    device: str | None,
) -> None:
    """Report every epoch at once, with numbers that depend on the recipe."""
    quality = 1 - abs(recipe.optimizer.lr - 0.3)
    for epoch in range(1, recipe.epochs + 1):
        accuracy = quality * (1 - 0.5**epoch)
        report(
            {
                "epoch": epoch,
                "val/accuracy": accuracy,
                "val/many": accuracy,
                "val/few": accuracy,
                "train/loss": 1 / epoch,
                "lr": 0.1,
                "images_per_second": 1.0,
            }
        )


def paced(
    recipe: Recipe,
    *,
    root: Path,
    folder: Path,
    report: Callable[[dict[str, float]], None],
    device: str | None,
) -> None:
    """Take a fifth of a second for an epoch, as a trial of the digits does, and report with the
    next one how long the trial has waited in a report so far, as a median in seconds."""
    waits: list[float] = []
    for epoch in range(1, recipe.epochs + 1):
        time.sleep(0.2)
        began = time.perf_counter()
        report(
            {
                "epoch": epoch,
                "val/accuracy": epoch / recipe.epochs,
                "train/loss": 1 / epoch,
                "train/waited": statistics.median(waits) if waits else 0.0,
            }
        )
        waits.append(time.perf_counter() - began)
