"""Two workers of one trial: they score each image once and agree on every number."""

import logging
import tempfile
from pathlib import Path

import torch

from raylt import recipe
from raylt.trial import parts, worker
from raylt.trial.checkpoints import checkpoint
from tests import distributed


def wanted(**changed):
    values = {
        "data": {"name": "digits"},
        "method": {"name": "sdclr", "random_share": 0.3},
        "encoder": "small",
        "size": 8,
        "augment": {"flip": 0.0},
        "optimizer": {"lr": 0.1, "batch_size": 64},
        "evaluation": {"labels": "tail"},
        "epochs": 2,
        "precision": "float32",
    }
    return recipe.parse(values | changed)


def trained(folder):
    reports = []
    worker.work(wanted(), root=Path("unused"), folder=folder, report=reports.append, device="cpu")
    return [{k: v for k, v in entry.items() if k != "images_per_second"} for entry in reports]


def test_two_workers_report_the_same_and_leave_one_checkpoint_an_epoch():
    folder = Path(tempfile.mkdtemp())
    first, other = distributed.run(trained, folder)
    assert first == other
    assert [entry["epoch"] for entry in first] == [1, 2]
    assert len(list(folder.glob("checkpoint-*"))) == 2
    assert checkpoint.latest(folder, wanted().digest).epoch == 2
    # A third start of the same trial goes on from there, with as many workers as it likes.
    assert trained(folder) == first


class Said(logging.Handler):
    """Takes the lines for the user."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def said_of(compile):
    log = logging.getLogger("raylt")
    log.addHandler(message := Said())
    try:
        parts.build(wanted(compile=compile), root=Path("unused"), device=torch.device("cpu"))
    finally:
        log.removeHandler(message)
    return message.lines


def test_one_of_several_workers_says_that_their_steps_are_not_compiled():
    line = "steps of several workers are not compiled, and run as they are"
    assert distributed.run(said_of, True) == [[line], []]
    assert distributed.run(said_of, False) == [[], []]
