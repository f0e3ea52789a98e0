"""A machine whose steps take what a test says."""

from pathlib import Path

import torch

from raylt.trial.execution import fastest
from tests.trial.made import small

CPU = torch.device("cpu")
ROOT = Path("unused")


class Machine:
    """Takes the place of the clock: a step takes its images over the speed of its form."""

    def __init__(self, monkeypatch, **speeds):
        self.steps = 0
        self.spent = 0.0
        monkeypatch.setattr(fastest, "_Form", lambda *a, **k: _Form(self, speeds, *a, **k))
        monkeypatch.setattr(fastest.time, "process_time", lambda: self.spent)


class _Form:
    def __init__(self, machine, speeds, recipe, splits, execution, *, images, device):
        self.execution, self._machine = execution, machine
        speed = speeds.get(execution.precision, 1.0) * speeds.get(execution.layout, 1.0)
        speed *= speeds.get(f"threads_{execution.threads}", 1.0)
        speed *= speeds.get("compiled", 1.0) if execution.compile else 1.0
        self._took = images * speeds.get("image", 1e-3) / speed

    def seconds(self, clock):
        self._machine.steps += 1
        self._machine.spent += self._took
        return self._took


def auto(**changed):
    return small(precision="auto", **changed)


def chosen(recipe, began=None):
    return fastest.choose(recipe, root=ROOT, device=CPU, began=began)
