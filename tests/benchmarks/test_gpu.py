import subprocess
import sys

import pytest
import torch

from benchmarks import gpu

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", list(gpu.GOALS))
def test_a_roofline_is_a_row_of_its_table(name):
    row = gpu._roof(name, CPU, short=True)
    assert row.startswith(f"| {name}, ")
    assert row.count("|") == 8


def test_what_cannot_be_measured_is_said():
    assert "need a GPU" in gpu.tests(CPU)[0]
    assert "left out" in gpu.training(None, 1.0)[0]


def test_it_needs_neither_ray_nor_a_tracker():
    program = "import sys, benchmarks.gpu; print({'ray', 'mlflow', 'optuna'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                         check=True, cwd=gpu.REPOSITORY)  # fmt: skip
    assert ran.stdout.strip() == "set()"
