import subprocess
import sys

import pytest
import torch

from benchmarks import gpu, packed
from raylt.trial import compiled

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", list(gpu.GOALS))
def test_a_roofline_is_a_row_of_its_table(name):
    row = gpu._roof(name, CPU, short=True)
    assert row.startswith(f"| {name}, ")
    assert row.count("|") == 8


def test_whole_steps_are_a_pair_that_both_forms_run():
    pair = gpu.loaded(CPU, short=True)
    pair.published()
    pair.raylt()
    assert pair.goal == 5.0
    assert "an epoch of 1 steps with its views" in pair.name


def test_processes_beside_each_other_are_timed_together():
    shape = packed.Shape.of("small,8,8,2")
    assert str(shape) == "small,8,8,2"
    assert packed.rate("sdclr", CPU, shape, processes=2) > 0


def test_a_process_that_fails_is_no_rate(capfd):
    with pytest.raises(RuntimeError, match="has failed"):
        packed.rate("sdclr", CPU, packed.Shape("none", 8, 8, 1), processes=1)  # type: ignore[arg-type]
    assert "Traceback" in capfd.readouterr().err


def test_what_cannot_be_measured_is_said():
    assert "need a GPU" in gpu.tests(CPU)[0]
    assert "left out" in gpu.training(None, 1.0, short=True)[0]


def test_it_needs_neither_ray_nor_a_tracker():
    program = "import sys, benchmarks.gpu; print({'ray', 'mlflow', 'optuna'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=gpu.REPOSITORY,
    )
    assert ran.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_compiled_step_is_timed_beside_the_plain_one():
    cells = [cell.strip() for cell in gpu._compiled("bcl", CPU, short=True).split("|")]
    assert cells[1] == "bcl, small, batch 8"
    assert float(cells[2]) > 1
    assert float(cells[5].strip("*")) > 0


def test_a_step_that_cannot_be_compiled_is_said_and_not_timed(monkeypatch):
    def refuse(method, device):
        raise RuntimeError("no compiler was found")

    monkeypatch.setattr(compiled, "_program", refuse)
    row = gpu._compiled("bcl", CPU, short=True)
    assert "RuntimeError: no compiler was found | - | - | - | - | - |" in row
