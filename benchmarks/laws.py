"""Made-up laws of what a setting reaches, on which a search is played in a second.

A law has five leaves of SDCLR, one of them a choice and one conditional, 90 points at best, a
learning curve and noise.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raylt import space
from raylt.space.file import document

EPOCHS = 27
NOISE = 0.005
LOSS = 0.01
"""What many-shot classes may lose against the baseline, where that is limited."""
BASELINE = {
    "method.temperature": 0.5,
    "method.prune": 0.3,
    "method.own_norms": True,
    "optimizer.lr": 0.3,
}
"""A published setting, which nobody has tuned on these images."""
SPACE = """
study:
  name: law
  trials: TRIALS
  objective: val/accuracy
  sampler: {name: SAMPLER, seed: SEED}
  scheduler: SCHEDULER
recipe:
  data: {name: digits}
  method:
    name: sdclr
    temperature: {low: 0.05, high: 1.0, log: true}
    prune: {low: 0.1, high: 0.99}
    random_share: {low: 0.0, high: 1.0, when: method.prune > 0.5}
    own_norms: {choices: [true, false]}
  encoder: small
  optimizer:
    lr: {low: 0.02, high: 2.0, log: true}
    batch_size: 64
  epochs: 27
"""
BOUND = f"""
  constraints:
    - {{metric: val/many, min: baseline - {LOSS}}}
  baseline:
    source: made up
    values: {json.dumps(BASELINE)}
"""

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Law:
    """What a setting reaches."""

    slow: bool = True
    """Whether small learning rates are slower, and so look worse at first."""
    bound: bool = False
    """Whether many-shot classes may not lose more than `LOSS` against the baseline, and the most
    accurate settings make them; and whether large learning rates make a trial fail."""

    def final(self, point: Point) -> float:
        """Accuracy after infinitely many epochs, 0.9 at the best point."""
        miss = 0.35 * (math.log(point["method.temperature"] / 0.2) / math.log(20)) ** 2
        miss += 0.35 * (point["method.prune"] - 0.7) ** 2
        miss += 0.3 * (math.log(point["optimizer.lr"] / 0.1) / math.log(20)) ** 2
        miss += 0.0 if point["method.own_norms"] else 0.03
        if "method.random_share" in point:
            miss += 0.1 * (point["method.random_share"] - 0.2) ** 2
        return 0.9 - miss

    def fails(self, point: Point, epoch: int) -> bool:
        """Whether a trial diverges in an epoch: the second, of a large rate for its
        temperature."""
        limit = math.sqrt(point["method.temperature"] / 0.2)
        return self.bound and epoch == 2 and point["optimizer.lr"] > limit

    def reported(self, point: Point, epoch: int, seed: int) -> dict[str, float]:
        """What a trial reports after an epoch, with Gaussian noise of its own."""
        pace = 4.0 * (0.3 / point["optimizer.lr"]) ** 0.5 if self.slow else 5.0
        top = self.final(point)
        rng = random.Random(f"{seed} {sorted(point.items())} {epoch}")
        accuracy = top - (top - 0.1) * math.exp(-epoch / pace) + rng.gauss(0, NOISE)
        result = {"epoch": epoch, "training_iteration": epoch, "val/accuracy": accuracy}
        if self.bound:
            # Pruning more helps the tail and costs the head.
            many = accuracy + 0.1 - 0.6 * point["method.prune"]
            result["val/many"] = many + rng.gauss(0, NOISE)
        return result

    def floor(self, seed: int) -> float:
        """The least many-shot accuracy that keeps the constraint, by what the baseline reports."""
        return Law.reported(self, BASELINE, EPOCHS, seed)["val/many"] - LOSS

    def kept(self, point: Point, seed: int) -> bool:
        """Whether a whole trial keeps the constraint, by what it and the baseline report."""
        if not self.bound:
            return True
        return self.reported(point, EPOCHS, seed)["val/many"] >= self.floor(seed)

    def space(
        self, trials: int, *, sampler: str = "tpe", seed: int, scheduler: str
    ) -> space.Space:
        """Its space file, read."""
        text = SPACE.replace("TRIALS", str(trials)).replace("SAMPLER", sampler)
        text = text.replace("SCHEDULER", scheduler).replace("SEED", str(seed))
        if self.bound:
            text = text.replace("\nrecipe:", f"{BOUND}recipe:")
        return space.of(document.parse(text, "law"))


@dataclass(frozen=True)
class Folded(Law):
    """A bound law whose constraint is folded into one number by hand, `score`: the accuracy, and
    one less where the many-shot accuracy is below the floor, which is known from the start."""

    def reported(self, point: Point, epoch: int, seed: int) -> dict[str, float]:
        """The same, and the score."""
        result = super().reported(point, epoch, seed)
        return {
            **result,
            "score": result["val/accuracy"] - (result["val/many"] < self.floor(seed)),
        }
