"""The space of a study that begins with what an earlier one on other data learned."""

from raylt import space
from raylt.study.warm_start import carried

NEW = """
study:
  name: new
  trials: 16
  sampler: {name: tpe, seed: 7, startup: 4}
  scheduler: {name: none}
  warm_start: [old]
  baseline:
    source: "a paper"
    values: {method.temperature: 0.2, method.prune: 0.9, optimizer.lr: 0.5}
recipe:
  data: {name: digits, imbalance: 50}
  method:
    name: sdclr
    temperature: {low: 0.05, high: 1.0, log: true}
    prune: {low: 0.0, high: 0.99}
    head_depth: 3
  encoder: small
  size: 8
  evaluation: {labels: tail}
  optimizer: {lr: {low: 0.01, high: 1.0, log: true}, batch_size: 64}
  epochs: 6
"""


def new(folder, *overrides):
    (folder / "new.yaml").write_text(NEW)
    return space.load(folder / "new.yaml", overrides)


def warm(folder, *overrides):
    return carried.carry(new(folder, *overrides), runs=folder / "runs", url=None)
