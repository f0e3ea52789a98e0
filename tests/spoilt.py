"""A right space file, which tests spoil."""

BASE = """\
study:
  name: spoilt
  trials: 12
  objective: val/accuracy
  constraints: []
  sampler: {name: tpe, seed: 7}
  scheduler: {name: asha, grace: 2}
  require: []
  baseline:
    source: a paper
    values: {method.prune: 0.9, optimizer.lr: 0.5}
  points: []
recipe:
  data: {name: digits, imbalance: 20}
  method:
    name: sdclr
    prune: {low: 0.1, high: 0.99}
    temperature: 0.2
    own_norms: true
  encoder: small
  optimizer:
    lr: {low: 0.1, high: 1.0, log: true}
    batch_size: 64
  epochs: 6
"""
