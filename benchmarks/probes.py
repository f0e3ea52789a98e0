"""A linear probe on cached features beside the published one, on the same checkpoints.

    python -m benchmarks.probes --data DIRECTORY [--seeds 5] [--keep FOLDER] [--short]

The folder holds CIFAR-100. SDCLR's protocol lets the labelled images pass the frozen encoder anew
in every epoch, shifted by up to an eighth and mirrored; the other probes compute features once, of
the images as they are. On the photographs one encoder is trained and every seed fits its probes to
it; on the digits, where training takes seconds, each seed has its own encoder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks import __main__ as results
from benchmarks import pairs, trials
from raylt import datasets, recipe
from raylt.data.images import Images, Splits
from raylt.methods._base import Method
from raylt.recipe import Recipe
from raylt.trial import parts, worker
from raylt.trial.checkpoints import checkpoint
from raylt.trial.evaluation import linear_evaluation
from raylt.trial.evaluation.score import score

CPU = torch.device("cpu")
PUBLISHED = {"probe": "reforward", "selection": "last"}
Scored = dict[tuple[str, str], list[float]]
CACHED = {"SGD": {"probe": "sgd"}, "L-BFGS": {"probe": "lbfgs"}}


@dataclass(frozen=True)
class Case:
    """Images, and the labels that the probes see."""

    name: str
    values: Mapping[str, Any]
    """Of the recipe that trains the encoder."""
    labels: str
    classes: int
    """How many classes are probed, from the first."""
    shifts: bool
    """Whether the published protocol disturbs its images."""


PHOTOGRAPHS: Mapping[str, Any] = {
    "data": {"name": "cifar100", "imbalance": 100, "validation": 100},
    "method": {"name": "sdclr", "prune": 0.9},
    "encoder": "small",
    "size": 32,
    "augment": {"crop": 0.1},
    "optimizer": {"lr": 0.2, "batch_size": 128},
    "schedule": {"warmup": 2},
    "epochs": 10,
}
DIGITS: Mapping[str, Any] = {
    "data": {"name": "digits"},
    "method": {"name": "simclr"},
    "encoder": "small",
    "size": 8,
    "augment": {"flip": 0.0, "crop": 0.6},
    "optimizer": {"lr": 0.1, "batch_size": 64},
    "epochs": 8,
}
CASES = (
    Case("CIFAR-100, 10 classes of 400 labels", PHOTOGRAPHS, "balanced", 10, True),
    Case("CIFAR-100, 100 classes of 4 labels", PHOTOGRAPHS, "few-shot", 100, True),
    Case("digits of 8 pixels, all labels", DIGITS, "balanced", 10, True),
    Case("the same, undisturbed", DIGITS, "balanced", 10, False),
)


def measured(cases: Sequence[Case], data: Path, *, seeds: int, keep: Path) -> Iterator[Scored]:
    """The accuracies so far by case and probe, after the second seed and each later one."""
    scored: Scored = {}
    for seed in range(seeds):
        for values, trained in ((PHOTOGRAPHS, 0), (DIGITS, seed)):
            chosen = [case for case in cases if case.values is values]
            if not chosen:
                continue
            method, splits, run = encoder(values, data, trained, keep)
            fresh = run.model_copy(update={"seed": seed})
            for case in chosen:
                for name, accuracy in probed(method, splits, fresh, case).items():
                    print(f"seed {seed}, {case.name}: {name} {accuracy:.4f}", file=sys.stderr)
                    scored.setdefault((case.name, name), []).append(accuracy)
        if seed:
            yield scored


def section(cases: Sequence[Case], scored: Scored) -> list[str]:
    """The table and what it is."""
    seeds = len(next(iter(scored.values())))
    rows = [
        trials.row(f"{case.name}: {name}", scored[case.name, name], scored[case.name, "published"])
        for case in cases
        for name in CACHED
    ]
    return [
        f"Validation accuracy of linear probes on the same frozen features, over {seeds} "
        "seeds: on CIFAR-100-LT those of the probes on one encoder, SDCLR of 10 epochs; on "
        "the digits also those of the encoder, SimCLR of 8 epochs; both the small network. "
        "`cached` computes the features once; `published` lets the images pass the encoder "
        "anew in each epoch, shifted by up to an eighth and, but for digits, mirrored, and "
        "takes the last epoch. The interval of the mean difference is Student's, at 95 %.",
        "",
        "| labels and cached probe | cached | published | difference, points | interval |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]


def encoder(
    values: Mapping[str, Any], data: Path, seed: int, keep: Path
) -> tuple[Method, Splits, Recipe]:
    """A method that was trained with the seed, its images and its recipe.

    What was trained before lies in `keep` and is not trained again.
    """
    evaluation = {"labels": "few-shot", "every": values["epochs"]}
    run = recipe.parse({**values, "evaluation": evaluation, "seed": seed, "precision": "float32"})
    splits = datasets.load(run.data, data)
    method = parts.method_of(run, splits, CPU)
    folder = keep / run.digest
    worker.work(run, root=data, folder=folder, report=lambda _: None, device="cpu")
    saved = checkpoint.latest(folder, run.digest)
    assert saved is not None
    method.load_state_dict(saved.method)
    return method, splits, run


def probed(method: Method, splits: Splits, run: Recipe, case: Case) -> dict[str, float]:
    """Accuracy of each probe."""
    seen = replace(
        splits,
        train=_first(splits.train, case.classes),
        classes=case.classes,
        balanced=_first(splits.balanced, case.classes),
        few_shot=_first(splits.few_shot, case.classes),
        validation=_first(splits.validation, case.classes),
    )

    def accuracy(evaluation: Mapping[str, str]) -> float:
        chosen = run.evaluation.model_copy(update={"labels": case.labels, **evaluation})
        given = run.model_copy(update={"evaluation": chosen})
        return score(method, seen, seen.validation, given, device=CPU).metrics["accuracy"]

    result = {name: accuracy(evaluation) for name, evaluation in CACHED.items()}
    plan = linear_evaluation.protocol
    if not case.shifts:
        linear_evaluation.protocol = lambda **given: replace(plan(**given), view="none")  # type: ignore[assignment]
    try:
        return {**result, "published": accuracy(PUBLISHED)}
    finally:
        linear_evaluation.protocol = plan


def _first(images: Images, classes: int) -> Images:
    return images.only(np.flatnonzero(images.labels < classes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--seeds", type=int, default=5, help="encoders, 2 or more; 5 unless given")
    parser.add_argument("--keep", type=Path, help="folder of trained encoders, to be used again")
    parser.add_argument("--into", type=Path, default=results.RESULTS, help="file to write")
    parser.add_argument("--short", action="store_true", help="the digits alone: does it run?")
    given = parser.parse_args()
    torch.set_num_threads(1)
    before = pairs.load()
    cases = CASES[2:] if given.short else CASES
    with tempfile.TemporaryDirectory() as folder:
        keep = given.keep or Path(folder)
        for scored in measured(cases, given.data, seeds=given.seeds, keep=keep):
            body = [
                "## Two ways to fit a linear probe",
                "",
                *section(cases, scored),
                "",
                results.provenance(before),
            ]
            results.write(given.into, "probes", body)
            print("\n".join(body), flush=True)


if __name__ == "__main__":
    main()
