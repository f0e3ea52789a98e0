"""A finished study without a search: written straight into the record, in milliseconds."""

import math
import random
from pathlib import Path

import numpy as np
import optuna

from raylt import space
from raylt.study.record import distributions, record, studies
from raylt.trial.evaluation import classes
from tests.study.drive import FINGERPRINT

SPACE = """
study:
  name: made
  trials: 18
  sampler: {name: random, seed: 1}
  scheduler: {name: asha, grace: 2, factor: 3}
  baseline:
    source: "a paper"
    values: {method.temperature: 0.2, method.prune: 0.9, method.random_share: 0.0,
             method.head_depth: 2}
recipe:
  data: {name: digits, imbalance: 20}
  method:
    name: sdclr
    temperature: {low: 0.05, high: 1.0, log: true}
    prune: {low: 0.0, high: 0.99}
    random_share: {low: 0.0, high: 1.0, when: "method.prune > 0.5"}
    head_depth: {choices: [2, 3]}
  encoder: small
  size: 8
  evaluation: {labels: tail}
  optimizer: {lr: 0.1, batch_size: 64}
  epochs: 6
"""
FLOOR = {
    "floor/neighbour/accuracy": 0.42,
    "floor/logistic/accuracy": 0.45,
    "floor/logistic/many": 0.7,
    "floor/logistic/few": 0.1,
}


def study(
    folder: Path,
    *overrides: str,
    name="made",
    trials=12,
    failed=(3,),
    stopped=(5, 7, 8),
    tables=True,
    fingerprint=FINGERPRINT,
    text=SPACE,
    url=None,
) -> record.Record:
    """A record of `trials` ended trials under `folder/NAME`; trial 0 is the baseline."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    opened = space.load(path, [f"study.name={name}", f"study.trials={trials}", *overrides])
    facts = {"floor": FLOOR, "fingerprint": fingerprint, "command": "raylt tune <made & up>"}
    made = studies.create(
        folder / name,
        opened,
        sampler=optuna.samplers.RandomSampler(seed=1),
        queue=(),
        facts=facts,
        url=url,
    )
    rng = random.Random(0)
    for number in range(trials):
        assert made.open_trial() == number
        waiting = made.outcome(number)
        point = dict(waiting.point) or opened.draw(rng)
        recipe = opened.at(point)
        made.start(
            number,
            point=point,
            recipe=recipe.model_dump(mode="json"),
            digest=recipe.digest,
            parameters=distributions.parameters(opened, point),
        )
        made.begin_attempt(number)
        state = "failed" if number in failed else "stopped" if number in stopped else "complete"
        epochs = {"failed": 0, "stopped": 2, "complete": recipe.epochs}[state]
        history = [metrics(point, epoch) for epoch in range(1, epochs + 1)]
        for entry in history:
            made.report(number, entry)
        if tables and history:
            table(made.trial_folder(number), history[-1], recipe.data.train_counts())
        seconds = 60.0 + 7 * number
        made.spend(number, seconds=seconds, cpu_seconds=2 * seconds, gpu_seconds=seconds / 2)
        made.finish(
            number,
            state,
            last=history[-1] if history else {},
            best=max(history, key=lambda e: e["val/accuracy"], default={}),
            baseline={},
            seconds=seconds,
            failure="ValueError: <no> & luck" if not history else "",
        )
    return made


def again(made: record.Record) -> record.Record:
    """The same study as another driver would open it."""
    return studies.load(made.folder, sampler=optuna.samplers.RandomSampler(seed=1), url=made.url)


def metrics(point, epoch):
    """Best at a temperature of 0.3 and a pruning ratio of 0.6; more epochs are better."""
    miss = abs(math.log(point.get("method.temperature", 0.2) / 0.3)) / 4
    miss += abs(point.get("method.prune", 0.9) - 0.6) / 2
    accuracy = 0.9 - 0.3 * miss - 0.5**epoch * 0.4
    return {
        "epoch": epoch,
        "val/accuracy": accuracy,
        "val/many": min(1.0, accuracy + 0.05 + 0.1 * miss),
        "val/medium": accuracy,
        "val/few": accuracy - 0.15 + 0.05 * math.sin(40 * miss),
        "val/knn": accuracy - 0.02,
        "train/loss": 1 / epoch,
        "lr": 0.1,
        "images_per_second": 1000.0,
        "system/cpu_utilization_percentage": 40.0 + epoch,
    }


def table(folder, entry, counts):
    rng = np.random.default_rng(int(1e6 * entry["val/accuracy"]))
    labels = np.repeat(np.arange(len(counts)), 30)
    right = rng.random(len(labels)) < entry["val/accuracy"] - 0.02 * labels
    predictions = np.where(right, labels, rng.integers(0, len(counts), len(labels)))
    classes.keep(
        folder,
        epoch=int(entry["epoch"]),
        predictions=predictions,
        labels=labels,
        train_counts=counts,
    )


def one_run(folder: Path, *, facts=None) -> record.Record:
    """The study of one run of a setting that is not the baseline of the space."""
    fixed = ("temperature=0.3", "prune=0.6", "random_share=0.5", "head_depth=3")
    words = [f"method.{word}" for word in fixed]
    made = study(folder, *words, name="one", trials=1, failed=(), stopped=(), tables=False)
    for key, value in (facts or {}).items():
        made.note(key, value)
    return made
