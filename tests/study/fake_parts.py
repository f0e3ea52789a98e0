"""Runs without training: the pruning is worth 0.3 at best, the learning rate 0.1 and only beside a
good pruning, the temperature nothing, own norms 0.05; and a little comes from the seed."""

import json
import random

from raylt.trial.evaluation.test_score import Opened


def quality(recipe):
    noise = random.Random(f"{recipe.seed} {recipe.digest}").gauss(0, 0.004)
    pruned = 1 - abs(recipe.method.prune - 0.5) / 0.4
    tuned = recipe.optimizer.lr == 0.5
    norms = 0.05 * recipe.method.own_norms
    return 0.4 + 0.3 * pruned + 0.1 * pruned * tuned + norms + noise


def work(recipe, *, root, folder, report, device):
    behaviour = json.loads((root / "behaviour.json").read_text())
    with (folder / "starts.txt").open("a") as file:
        file.write("start\n")
    if [recipe.seed, recipe.method.prune] in behaviour.get("fails", []):
        raise ValueError(f"bad with seed {recipe.seed}")
    accuracy = quality(recipe)
    seen = {f"val/{name}": accuracy for name in ("accuracy", "many", "few")}
    report({"epoch": recipe.epochs, **seen, "train/loss": 1.0})


def open_test(recipe, *, root, folder, device):
    with (folder / "looks.txt").open("a") as file:
        file.write("look\n")
    accuracy = quality(recipe) - 0.02
    return Opened(
        digest=recipe.digest,
        metrics={"test/accuracy": accuracy, "test/few": accuracy},
        predictions=[0],
        labels=[0],
        train_counts=[5],
    )
