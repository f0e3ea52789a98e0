"""What a few real steps of a recipe say about a whole run of it."""

import contextlib
import io
import json
from pathlib import Path
from types import SimpleNamespace

import torch

from raylt import recipe
from raylt.data.batches import Batch
from raylt.trial.checkpoints import checkpoint
from raylt.trial.cost import measure

CPU = torch.device("cpu")
VALUES = {
    "data": {"name": "digits"},
    "method": {"name": "simclr"},
    "encoder": "small",
    "size": 8,
    "augment": {"flip": 0.0},
    "optimizer": {"lr": 0.1, "batch_size": 128},
    "evaluation": {"labels": "tail"},
    "epochs": 1,
}


class Slow:
    """Batches that take two seconds of a clock of their own, in epochs of five steps."""

    steps = 5

    def __init__(self):
        self.now = 0.0

    def epoch(self, number):
        for _ in range(self.steps):
            self.now += 2.0
            yield Batch((torch.zeros(2, 1, 8, 8),), torch.zeros(2))


def test_a_step_is_its_batch_and_what_is_done_with_it(monkeypatch):
    slow = Slow()
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: slow.now))
    few = measure._Few(slow, CPU)
    epochs = 0
    while not few.enough:
        for _ in few.epoch(epochs):
            slow.now += 3.0 if few.counted > 0 else 100.0  # the first steps compile
        epochs += 1
    assert epochs == 2
    assert few.first == 2.0
    # Four steps at least, and no more of them once five seconds are over.
    assert few.counted == 4
    assert (slow.now - few.began) / few.counted == 5.0


def test_the_cost_of_a_run_is_measured_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    written = []
    monkeypatch.setattr(checkpoint, "writing", _noted(checkpoint.writing, written))
    parsed = measure.measure(recipe.parse(VALUES), root=tmp_path, device="cpu")
    assert list(tmp_path.iterdir()) == []
    # Two newest checkpoints and the best one.
    assert [parsed.disk] == [3 * size for size in written]
    assert min(parsed.start, parsed.epoch, parsed.score, parsed.save) > 0
    assert parsed.memory > 50 * 2**20
    assert (parsed.gpu_memory, parsed.gpu_size, parsed.gpu_busy, parsed.device) == (
        0,
        0,
        0.0,
        "cpu",
    )


def _noted(writing, written):
    @contextlib.contextmanager
    def noting(folder, **values):
        with writing(folder, **values) as keep:
            yield keep
        written.extend(path.stat().st_size for path in folder.glob("*.safetensors"))

    return noting


def test_what_cannot_be_measured_is_told_in_one_line(monkeypatch, capsys, tmp_path):
    task = {
        "recipe": VALUES | {"data": {"name": "cifar10"}, "size": 32},
        "root": "nowhere",
        "runs": str(tmp_path),
        "modules": None,
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(task)))
    measure.main()
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["failure"]
    assert "run `raylt data get cifar10 --data nowhere`" in printed["failure"]
    assert not Path("nowhere").exists()
