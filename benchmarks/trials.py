"""A whole trial on the digits beside its published form, and what shortcuts do to the accuracy.

python -m benchmarks.trials [--short] speed|accuracy
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torchvision import transforms

from benchmarks import made, pairs, published
from benchmarks.pairs import Pair
from raylt import datasets
from raylt.data import augment
from raylt.recipe import Recipe
from raylt.sections import Augment
from raylt.trial import parts
from raylt.trial.execution import cache

CPU = torch.device("cpu")
PRECISIONS = ("float32", "bfloat16", "auto")
SIZE = 32
"""Height of the views of the published form."""


def published_training(recipe: Recipe) -> None:
    """Train in the published form, in one process, without an evaluation."""
    splits = datasets.load(recipe.data, Path())
    method = parts.method_of(recipe, splits, CPU).to(memory_format=torch.contiguous_format)
    params = recipe.augment
    look = published.sim(
        SIZE, crop=params.crop, flip=params.flip, jitter=params.jitter, grey=params.grey
    )
    pixels = splits.train.take(np.arange(len(splits.train)))
    views = published.Views(pixels, splits.train.labels, [look, look])
    batches = published.loader(views, batch=recipe.optimizer.batch_size, workers=0)
    for _ in published.train_sdclr(
        method,
        batches,
        CPU,
        epochs=recipe.epochs,
        lr=recipe.optimizer.lr,
        temperature=0.2,  # type: ignore[arg-type]
        prune=0.9,
    ):
        pass


def raylt_trial(recipe: Recipe) -> dict[str, float]:
    """The same with raylt's worker."""
    with tempfile.TemporaryDirectory() as folder:
        return made.trained(recipe, Path(folder))


def speed(*, short: bool) -> list[str]:
    """Whole trials: reading, training, evaluation and checkpoint of raylt's."""
    epochs, rounds = (1, 1) if short else (5, 3)
    slow = made.digits("sdclr", size=SIZE, epochs=epochs)
    sizes = ((8, None),) if short else ((32, 2.5), (16, 7.0))
    every: list[Pair] = []
    with tempfile.TemporaryDirectory() as runs, cache.shared_in(Path(runs)):
        for (size, goal), precision in itertools.product(sizes, PRECISIONS):
            fast = made.digits("sdclr", size=size, epochs=epochs, precision=precision)
            every.append(
                Pair(
                    f"digits, {epochs} epochs, raylt at {size}x{size}, {precision}",
                    lambda: published_training(slow),
                    lambda fast=fast: raylt_trial(fast),
                    goal if precision == "auto" else None,
                )
            )
        timed = pairs.together(every, rounds=rounds)
        chosen = [f"{choice.step}: {choice}" for choice in cache.everything(Path(runs))]
    return [
        "A whole SDCLR trial on the digits, in seconds of processor time on one thread. raylt's "
        "side includes the scoring and the checkpoint of the last epoch, the published form's "
        "only the training at its 32x32, in one process, which spares it the start of its "
        "loaders. The space files take the digits at 16x16, so the first rows are the gain of the "
        "program alone, the others that of the program and of the smaller views.",
        "",
        *pairs.table(timed, unit="CPU s"),
        "",
        *(
            f"At {size}x{size} `auto` is **{pairs.against(auto, forced):.2f}** times as fast as "
            f"the better of both."
            for (size, _), *forced, auto in zip(
                sizes, *(timed[i::3] for i in range(3)), strict=True
            )
        ),
        "",
        "`auto` measures in the first trial of a search, which is not counted here; the others "
        f"take its choice: {'; '.join(chosen)}.",
    ]


def per_image(
    images: torch.Tensor, *, size: int, params: Augment, generator: torch.Generator
) -> torch.Tensor:
    """torchvision's transforms, one image at a time, as a view that raylt's batches can take."""
    torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
    look = published.sim(
        size, crop=params.crop, flip=params.flip, jitter=params.jitter, grey=params.grey
    )
    return torch.stack([look(transforms.functional.to_pil_image(image)) for image in images])


def _with_pil(recipe: Recipe) -> dict[str, float]:
    kept = augment.VIEWS["sim"]
    augment.VIEWS["sim"] = per_image  # type: ignore[assignment]
    try:
        return raylt_trial(recipe)
    finally:
        augment.VIEWS["sim"] = kept


Arm = Callable[[int], float]


def accuracy(*, short: bool) -> list[str]:
    """Paired seeds: the fast form of a thing, minus its slow form."""
    epochs, seeds, size = (1, 2, 8) if short else (10, 24, 8)

    def arm(run: Callable[[Recipe], dict[str, float]], **changes: Any) -> Arm:
        settings = {"size": size, "epochs": epochs, **changes}
        return lambda seed: run(made.digits("sdclr", seed=seed, **settings))["val/accuracy"]

    fast = arm(raylt_trial)
    arms = {
        "bfloat16, forced, against float32": (arm(raylt_trial, precision="bfloat16"), fast),
        "views of a whole batch against one image at a time (torchvision)": (fast, arm(_with_pil)),
        "cached features and L-BFGS against the re-forwarded probe": (
            fast,
            arm(raylt_trial, probe="reforward"),
        ),
        "cached features and SGD against the re-forwarded probe": (
            arm(raylt_trial, probe="sgd"),
            arm(raylt_trial, probe="reforward"),
        ),
    }
    known: dict[Arm, list[float]] = {}
    for pair in arms.values():
        for item in pair:
            known.setdefault(item, [item(seed) for seed in range(seeds)])
    lines = [
        f"Validation accuracy of SDCLR on the digits at {size}x{size} after {epochs} epochs, over "
        f"{seeds} seeds that both forms share; the interval of the mean difference is Student's, "
        "at 95 %.",
        "",
        "| | fast | slow | difference, points | interval |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, (left, right) in arms.items():
        lines.append(row(name, known[left], known[right]))
    return lines


def row(name: str, left: Sequence[float], right: Sequence[float]) -> str:
    apart = [100 * (a - b) for a, b in zip(left, right, strict=True)]
    middle, n = statistics.fmean(apart), len(apart)
    half = float(stats.t.ppf(0.975, n - 1)) * statistics.stdev(apart) / math.sqrt(n)
    return (
        f"| {name} | {100 * statistics.fmean(left):.1f} | {100 * statistics.fmean(right):.1f} "
        f"| {middle:+.2f} | {middle - half:+.2f} ... {middle + half:+.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="tiny trials: does it run?")
    parser.add_argument("part", choices=["speed", "accuracy"])
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    part = {"speed": speed, "accuracy": accuracy}[given.part]
    print("\n".join(part(short=given.short)))


if __name__ == "__main__":
    main()
