"""Runs without training whose scores depend on the recipe and, a little, on the seed."""

import json
import random

from raylt.trial.evaluation.test_score import Opened

LABELS = [k for k in range(10) for _ in range(40)]
COUNTS = [200, 180, 150, 90, 60, 40, 30, 12, 8, 5]


def quality(recipe):
    """0.9 at a pruning ratio of 0.5, less away from it, and a percent up or down by the seed."""
    noise = random.Random(recipe.seed).gauss(0, 0.01)
    return 0.9 - 0.5 * abs(recipe.method.prune - 0.5) + noise


def peak(recipe):
    """How much better than the last the best epoch is."""
    return 0.1 if recipe.method.prune == 0.5 else 0.0


def work(recipe, *, root, folder, report, device):
    behaviour = json.loads((root / "behaviour.json").read_text())
    with (folder / "starts.txt").open("a") as file:
        file.write("start\n")
    if recipe.seed in behaviour.get("fails", []) and recipe.method.prune < 0.89:
        raise ValueError(f"bad with seed {recipe.seed}")
    accuracy = quality(recipe)
    groups = ("accuracy", "many", "few") if recipe.data.has_validation() else ()
    seen = {f"val/{name}": accuracy for name in groups}
    seen |= {f"val/best/{name}": accuracy + peak(recipe) for name in groups}
    report({"epoch": recipe.epochs, **seen, "train/loss": 1.0})


def open_test(recipe, *, root, folder, device):
    with (folder / "looks.txt").open("a") as file:
        file.write("look\n")
    right = round(40 * quality(recipe))
    predictions = [k if i % 40 < right else (k + 1) % 10 for i, k in enumerate(LABELS)]
    best, better = {}, []
    if recipe.data.has_validation():
        better = [
            k if i % 40 < right + 40 * peak(recipe) else p
            for i, (k, p) in enumerate(zip(LABELS, predictions, strict=True))
        ]
        best = {"test/best/accuracy": right / 40 + peak(recipe)}
    return Opened(
        digest=recipe.digest,
        metrics={"test/accuracy": right / 40, "test/few": right / 40, **best},
        predictions=predictions,
        labels=LABELS,
        train_counts=COUNTS,
        best_predictions=better,
    )
