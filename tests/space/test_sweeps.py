from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from raylt import cli, space
from raylt.schema import InputError
from raylt.space import Space, sweeps
from raylt.space.file import document

BASE = """\
study:
  name: base
  objective: val/many
  baseline: {source: a paper, values: {method.prune: 0.9, optimizer.lr: 0.5}}
recipe:
  data: {name: digits}
  method: {name: sdclr, prune: {low: 0.1, high: 0.99}}
  encoder: small
  optimizer: {lr: {low: 0.1, high: 1.0}, batch_size: 64}
  epochs: 6
"""


def converted(sweep: str, **renamed: str) -> Space:
    text = sweeps.convert(
        document.parse(sweep, "sweep.yaml"), document.parse(BASE, "base.yaml"), renamed
    )
    return space.of(document.parse(text, "new.yaml"))


def leaves(found: Space) -> dict[str, Any]:
    return {each.path: str(each) for each in found.leaves}


def test_a_wandb_sweep_becomes_a_space() -> None:
    found = converted("""
program: train.py
method: bayes
name: My sweep / 1
metric: {name: val/accuracy, goal: maximize}
run_cap: 30
early_terminate: {type: hyperband, min_iter: 2, eta: 2}
parameters:
  lr: {distribution: log_uniform_values, min: 1e-2, max: 1.0}
  temperature: {min: 0.05, max: 0.5}
  batch_size: {values: [32, 64]}
  refresh: {min: 1, max: 5}
  epochs: {value: 8}
  augment: {parameters: {crop: {distribution: q_uniform, min: 0.15, max: 0.95, q: 0.1}}}
  momentum: {distribution: log_uniform, min: -3, max: -1}
""")
    assert leaves(found) == {
        "method.temperature": "0.05 to 0.5",
        "method.refresh": "whole number 1 to 5",
        "augment.crop": "0.2 to 0.9 in steps of 0.1",
        "optimizer.lr": "0.01 to 1 (log)",
        "optimizer.batch_size": "one of 32, 64",
        "optimizer.momentum": f"{math.exp(-3):g} to {math.exp(-1):g} (log)",
    }
    study = found.study
    assert (study.name, study.trials, study.sampler.name) == ("My-sweep-1", 30, "tpe")
    assert (study.scheduler.name, study.scheduler.grace, study.scheduler.factor) == (
        "hyperband",
        2,
        2,
    )
    assert study.objective[0].metric == "val/accuracy"
    # A leaf of the base that the sweep does not mention keeps the published value.
    assert found.fixed["method"]["prune"] == 0.9
    assert found.fixed["epochs"] == 8
    assert "# program has no counterpart and is left out" not in found.text


def test_the_baseline_takes_the_values_of_the_base() -> None:
    found = converted("parameters: {refresh: {min: 1, max: 5}, lr: {min: 0.1, max: 1.0}}")
    assert found.baseline_point == {"method.refresh": 1, "optimizer.lr": 0.5}
    # Where it is out of what is searched now, there is none.
    found = converted("parameters: {lr: {min: 0.1, max: 0.3}}")
    assert found.study.baseline is None


def test_a_hydra_sweep_becomes_a_space() -> None:
    found = converted("""
defaults: [{override /hydra/sweeper: optuna}]
optimized_metric: val/acc
hydra:
  sweeper:
    direction: maximize
    n_trials: 25
    study_name: null
    sampler: {_target_: optuna.samplers.RandomSampler, seed: 12}
    params:
      optimizer.lr: tag(log, interval(0.01, 1))
      batch_size: choice(32, 64)
      method.prune: interval(0.1, 0.9)
      method.refresh: range(1, 10, step=2)
      out_dim: int(interval(8, 64))
      method.own_norms: true,false
      augment.crop: 0.3
      augment.grey: {type: float, low: 0.0, high: 0.5, step: 0.25}
      flip: range(0.1, 0.5, 0.2)
""")
    assert leaves(found) == {
        "method.prune": "0.1 to 0.9",
        "method.refresh": "whole number 1 to 9 in steps of 2",
        "method.out_dim": "whole number 8 to 64",
        "method.own_norms": "one of true, false",
        "augment.grey": "0 to 0.5 in steps of 0.25",
        "augment.flip": "0.1 to 0.5 in steps of 0.2",
        "optimizer.lr": "0.01 to 1 (log)",
        "optimizer.batch_size": "one of 32, 64",
    }
    assert (found.study.trials, found.study.sampler.name, found.study.sampler.seed) == (
        25,
        "random",
        12,
    )
    assert found.study.objective[0].metric == "val/many"
    assert found.fixed["augment"]["crop"] == 0.3


def test_a_name_may_be_mapped_or_left_out() -> None:
    sweep = "parameters: {tau: {min: 0.1, max: 0.5}, num_workers: {value: 4}}"
    with pytest.raises(InputError, match=r"sweep.yaml:1: tau: .*--map tau=PATH"):
        converted(sweep)
    found = converted(sweep, tau="method.temperature", num_workers="")
    assert leaves(found) == {"method.temperature": "0.1 to 0.5"}
    with pytest.raises(InputError, match=r"did you mean 'method.temperature'"):
        converted(sweep, tau="method.temprature", num_workers="")


def test_a_name_of_several_keys_must_be_mapped() -> None:
    with pytest.raises(InputError, match=r"it may be data\.name or method\.name or optimizer"):
        converted("parameters: {name: {values: [a, b]}}")


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("study: {}", "must have `parameters`"),
        ("parameters: {lr: 3}", "must be a mapping, but got 3"),
        ("parameters: {lr: {distribution: normal, mu: 0, sigma: 1}}", "two ends, but got normal"),
        ("parameters: {lr: {min: 1}}", "the numbers min and max"),
        ("parameters: {lr: {distribution: categorical}}", "the list values"),
        ("{parameters: {}, method: sobol}", "must be one of bayes, random, grid, but got 'sobol'"),
        ("{parameters: {}, metric: loss}", "must be a mapping, but got 'loss'"),
        ("parameters: {prune: {min: 0.5, max: 1.5}}", "must be < 1"),
        ("parameters: {epochs: {value: 0}}", "epochs: must be >= 1"),
        ("hydra: {sweeper: {params: 3}}", "must be a mapping, but got 3"),
        ("hydra: {sweeper: {params: {epochs: 'glob(*)'}}}", "must be choice"),
        ("hydra: {sweeper: {params: {epochs: 'interval(a, b)'}}}", "ends are no numbers"),
        ("hydra: {sweeper: {params: {epochs: 'range(1, 2, 0)'}}}", "must be choice"),
        ("hydra: {sweeper: {sampler: {_target_: x.Magic}}}", "must be one of TPESampler"),
    ],
)
def test_what_has_no_counterpart_is_refused(sweep: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        converted(sweep)
    assert said in str(refused.value)
    assert "sweep.yaml" in str(refused.value)


def test_the_command_prints_a_space_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "sweep.yaml").write_text("{program: x.py, parameters: {tau: {min: 0.1, max: 1}}}")
    arguments = [
        "space",
        "import",
        str(tmp_path / "sweep.yaml"),
        "--base",
        str(tmp_path / "base.yaml"),
        "--map",
        "tau=method.temperature",
    ]
    assert cli.run(arguments) == 0
    text = capsys.readouterr().out
    assert "# program has no counterpart and is left out\n" in text
    (tmp_path / "new.yaml").write_text(text)
    assert cli.run(["check", str(tmp_path / "new.yaml")]) == 0
    assert cli.run([*arguments, "--map", "x"]) == 2
    assert "must look like NAME=PATH" in capsys.readouterr().err
