"""A table of real trainings on the digits, in which searches can be played in milliseconds.

python -m benchmarks.table [--short]

Every point of a lattice over three leaves of SDCLR is trained once. A search that draws any point
of the space is told what the nearest point of the lattice reached, by the distance in the
logarithms of temperature and learning rate and in the pruning ratio.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

FILE = Path(__file__).with_name("digits_table.json")
TEMPERATURES = (0.05, 0.14, 0.37, 1.0)
PRUNES = (0.1, 0.5, 0.95)
RATES = (0.02, 0.09, 0.37, 1.6)
EPOCHS = 12
SPACE = """
study:
  name: NAME
  trials: 25
  objective: val/accuracy
  sampler: {name: tpe, seed: 0, startup: 8}
  scheduler: {name: none}
recipe:
  data: {name: digits, imbalance: 20}
  method:
    name: sdclr
    temperature: {low: 0.05, high: 1.0, log: true}
    prune: {low: 0.1, high: 0.95}
  encoder: small
  size: 8
  augment: {crop: 0.6, flip: 0.0, jitter: 0.5, grey: 0.0}
  optimizer:
    lr: {low: 0.02, high: 1.6, log: true}
    batch_size: 64
  evaluation: {labels: tail, every: 12}
  epochs: 12
  precision: float32
"""


def place(point: Mapping[str, float]) -> tuple[float, float, float]:
    """Where a point lies, each axis from 0 to 1."""
    return (
        math.log(point["method.temperature"] / 0.05) / math.log(1.0 / 0.05),
        (point["method.prune"] - 0.1) / 0.85,
        math.log(point["optimizer.lr"] / 0.02) / math.log(1.6 / 0.02),
    )


class Table:
    """The trained lattice."""

    def __init__(self) -> None:
        self.rows: list[tuple[tuple[float, float, float], float]] = [
            (place(row), row["val/accuracy"]) for row in json.loads(FILE.read_text("utf-8"))
        ]

    def accuracy(self, point: Mapping[str, float]) -> float:
        """What the nearest trained point reached."""
        here = place(point)
        return min(self.rows, key=lambda row: math.dist(row[0], here))[1]

    @property
    def best(self) -> float:
        return max(accuracy for _, accuracy in self.rows)


def train(*, short: bool) -> list[dict[str, float]]:
    from benchmarks import made
    from raylt import space
    from raylt.space import document

    searched = space.of(document.parse(SPACE.replace("NAME", "table"), "table"))
    rows: list[dict[str, float]] = []
    lattice = list(itertools.product(TEMPERATURES, PRUNES, RATES))
    for temperature, prune, rate in lattice[: 2 if short else None]:
        point = {"method.temperature": temperature, "method.prune": prune, "optimizer.lr": rate}
        with tempfile.TemporaryDirectory() as folder:
            found = made.trained(searched.at(point), Path(folder))
        rows.append({**point, "val/accuracy": round(found["val/accuracy"], 5)})
        print(f"{len(rows)}/{len(lattice)} {rows[-1]}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--short", action="store_true", help="two points, not written: does it run?"
    )
    short = parser.parse_args().short
    rows = train(short=short)
    if not short:
        lines = ",\n".join(json.dumps(row) for row in rows)
        FILE.write_text(f"[\n{lines}\n]\n", "utf-8")


if __name__ == "__main__":
    main()
