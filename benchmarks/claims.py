"""Do the papers' comparisons hold at a size that two cores can carry? On the real CIFAR-100-LT.

    python -m benchmarks.claims --data DIRECTORY --folder FOLDER [--seeds N] [--into FILE]

The protocol was written down before the first of its trainings was run:

- CIFAR-100-LT at imbalance 100, the encoder `small`, `EPOCHS` epochs, bfloat16; every other value
  is the one of the space file of the paper, the schedule in proportion to the epochs. Nothing is
  chosen by any score, and the scores are of the test images after the last epoch, read once.
- Both sides of a comparison have the same seeds, 0, 1, 2, ..., and the same order of the images.
  A row shows the mean of each side, and the mean of the paired differences with Student's
  interval of 95 %. It counts as shown where the interval lies on the claimed side of zero (and
  the opposite where it lies on the other), and is published whatever it is. There are six rows,
  each judged by itself.
- SDCLR is claimed to beat SimCLR (Jiang et al., ICML 2021): in linear separability (a linear probe
  on the labels of the balanced pool), in few-shot accuracy (a probe on one per cent of those
  labels), both on split 1 of the classes, and by a smaller standard deviation over the thirds of
  the classes. Both sides have the temperature 0.2 and a projection of two layers.
- BCL is claimed to beat SupCon and logit-adjusted cross-entropy (Zhu et al., CVPR 2022), on the
  whole tail of 500 ... 5 images and by its labels alone. SupCon has no classifier: its accuracy is
  that of a linear probe on its features, and as this probe is not adjusted for the class sizes,
  nearest neighbours compare the features of both by themselves.

Each training keeps its checkpoints below FOLDER until it is scored; its score is a line of
`claims.jsonl` there, by the digest of its recipe. A run that was cut short goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from scipy import stats

from benchmarks import cifar100, reproduce
from raylt import datasets, space
from raylt import recipe as recipes
from raylt.recipe import Recipe
from raylt.trial import parts, worker
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation.score import score

EPOCHS = 60
SEEDS = 3
PROCESSES = 2
"""Trainings at a time, one thread each."""
_SIMCLR = {"name": "simclr", "temperature": 0.2, "head_depth": 2, "out_dim": 128}
_WHOLE_TAIL = {"data.validation": 0}


@dataclass(frozen=True)
class Side:
    """One of the methods that are compared."""

    space: str
    method: Mapping[str, Any] | None = None
    """In place of the space's method; None keeps the baseline's."""
    values: Mapping[str, Any] | None = None
    """What is else than in the space: dotted path -> value."""


SIDES = {
    "SDCLR": Side("sdclr-cifar100-lt"),
    "SimCLR": Side("sdclr-cifar100-lt", method=_SIMCLR),
    "BCL": Side("bcl-cifar100-lt", values=_WHOLE_TAIL),
    "SupCon": Side("bcl-cifar100-lt", method={"name": "supcon"}, values=_WHOLE_TAIL),
    "cross-entropy": Side("bcl-cifar100-lt", method={"name": "cross_entropy"}, values=_WHOLE_TAIL),
}


@dataclass(frozen=True)
class Claim:
    """`better` is said to be ahead of `other`."""

    better: str
    other: str
    metric: str
    title: str
    sign: int = 1
    """-1 where less is better."""


CLAIMS = (
    Claim("SDCLR", "SimCLR", "balanced/accuracy", "linear separability"),
    Claim("SDCLR", "SimCLR", "few-shot/accuracy", "few-shot, 1 % of the labels"),
    Claim("SDCLR", "SimCLR", "balanced/std", "std over the thirds", sign=-1),
    Claim("BCL", "SupCon", "tail/accuracy", "accuracy"),
    Claim("BCL", "SupCon", "tail/knn", "20 nearest neighbours"),
    Claim("BCL", "cross-entropy", "tail/accuracy", "accuracy"),
)


def recipe_of(side: Side, *, seed: int, epochs: int) -> Recipe:
    """What is trained for one side and seed."""
    loaded = space.load(reproduce.SPACES / f"{side.space}.yaml", ["study.scheduler={name: none}"])
    assert loaded.baseline_point is not None
    values = loaded.at(loaded.baseline_point).model_dump(mode="json")
    if side.method is not None:
        values["method"] = dict(side.method)
    changed = {"encoder": "small", "precision": "bfloat16", "seed": seed, **(side.values or {})}
    recipe = recipes.parse(recipes.filled(values, changed))
    return reproduce.shortened(recipe, epochs)


def scored(job: tuple[str, int], *, data: Path, folder: Path, epochs: int) -> str:
    """Train one side with one seed, unless that was done, and keep what the test images say."""
    name, seed = job
    recipe = recipe_of(SIDES[name], seed=seed, epochs=epochs)
    if recipe.digest in _known(folder):
        return f"{name}, seed {seed}: known"
    torch.set_num_threads(1)
    trial = folder / recipe.digest
    began = time.perf_counter()
    worker.work(recipe, root=data, folder=trial, report=lambda row: None, device="cpu")
    row = {"digest": recipe.digest, "side": name, "seed": seed, **_scores(recipe, data, trial)}
    with (folder / "claims.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    shutil.rmtree(trial)
    return f"{name}, seed {seed}: {time.perf_counter() - began:.0f} s"


def _scores(recipe: Recipe, data: Path, trial: Path) -> dict[str, float]:
    """Metric of the test images -> value, for each kind of labels that a claim speaks of."""
    splits = datasets.load(recipe.data, data)
    method = parts.method_of(recipe, splits, torch.device("cpu"))
    newest = checkpoint.latest(trial, recipe.digest)
    assert newest is not None
    assert newest.epoch == recipe.epochs
    method.load_state_dict(newest.method)
    contrast_alone = recipe.method.name in ("sdclr", "simclr")
    result: dict[str, float] = {}
    for labels in ("balanced", "few-shot") if contrast_alone else ("tail",):
        evaluation = recipe.evaluation.model_copy(update={"labels": labels})
        judged = recipe.model_copy(update={"evaluation": evaluation})
        metrics = score(method, splits, splits.test, judged, device=torch.device("cpu")).metrics
        result |= {f"{labels}/{key}": value for key, value in metrics.items()}
    return result


def _known(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "claims.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return {row["digest"]: row for row in map(json.loads, lines)}


def section(folder: Path, *, seeds: int, epochs: int) -> list[str]:
    """What is known of the claims, as Markdown."""
    known = _known(folder)
    lines = [
        f"The encoder small, {epochs} epochs, seeds 0 ... {seeds - 1}; on {cifar100.machine()}, "
        f"commit {cifar100.commit()}. The protocol, written before the first training, is the "
        "head of `benchmarks/claims.py`. Test images, per cent, with the paired difference and "
        "its interval of 95 %.",
        "",
        "| claim | here | difference | shown? |",
        "|---|---|---:|---|",
    ]
    for claim in CLAIMS:
        values = [
            [
                100 * known[recipe_of(SIDES[side], seed=seed, epochs=epochs).digest][claim.metric]
                for seed in range(seeds)
            ]
            for side in (claim.better, claim.other)
        ]
        ahead, behind = map(statistics.fmean, values)
        differences = [a - b for a, b in zip(*values, strict=True)]
        mean, low, high = interval(differences)
        sides = {claim.sign * low > 0, claim.sign * high > 0}
        shown = (
            "not shown" if len(sides) == 2 else "yes" if sides == {True} else "no: the opposite"
        )
        lines.append(
            f"| {claim.better} beats {claim.other}: {claim.title} | {ahead:.1f} against "
            f"{behind:.1f} | {mean:+.2f} ({low:+.2f} ... {high:+.2f}) | "
            f"{shown} |"
        )
    return lines


def interval(differences: list[float]) -> tuple[float, float, float]:
    """The mean, and Student's interval of 95 % around it."""
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    reach = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return mean, mean - reach, mean + reach


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with CIFAR-100")
    parser.add_argument("--folder", type=Path, required=True, help="where a run is kept")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--short", action="store_true", help="one epoch: does it run?")
    parser.add_argument("--into", type=Path, help="file to write, too")
    given = parser.parse_args()
    epochs = 1 if given.short else EPOCHS
    given.folder.mkdir(parents=True, exist_ok=True)
    jobs = [(name, seed) for seed in range(given.seeds) for name in SIDES]
    train = partial(scored, data=given.data, folder=given.folder, epochs=epochs)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for number, line in enumerate(pool.map(train, jobs), start=1):
            print(f"{number}/{len(jobs)} {line}", flush=True)
    text = "\n".join(section(given.folder, seeds=given.seeds, epochs=epochs))
    print(text)
    if given.into is not None:
        given.into.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
