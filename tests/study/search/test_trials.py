import math

import pytest

from raylt import recipe
from raylt.space.plan import Objective
from raylt.study.record.listener import Task
from raylt.study.search.trials import Live, own_metrics, unrankable
from tests.space.made import RECIPE

FEW = Objective(metric="val/few")
LOSS = Objective(metric="train/loss")


def live(*few, **values):
    """A trial of 6 epochs that has scored some."""
    task = Task(number=3, role="sampled", point={}, recipe=recipe.parse(RECIPE), attempt=1)
    epochs = {
        epoch: {"epoch": epoch, "val/few": value, "train/loss": 1 - value}
        for epoch, value in enumerate(few, 1)
    }
    return Live(task, alone=False, epochs=epochs, **values)


@pytest.mark.parametrize(
    ("few", "failure", "state"),
    [
        ([0.1] * 6, "", "complete"),
        ([0.1] * 5, "", "stopped"),
        ([], "", "stopped"),
        ([0.1] * 6, "it broke", "failed"),
    ],
)
def test_a_trial_that_ends_is_complete_stopped_or_failed(few, failure, state):
    assert live(*few, failure=failure).state == state


def test_the_last_and_the_best_epoch_are_known():
    trial = live(0.1, 0.4, 0.2, 0.4)
    assert trial.last["epoch"] == 4
    assert trial.best(FEW)["epoch"] == 2  # of equals the first
    assert trial.best(LOSS)["epoch"] == 2
    assert (live().last, live().best(FEW)) == ({}, {})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_cannot_be_ranked_says_why(value):
    assert unrankable({"epoch": 2.0, "val/few": 0.5}, [FEW]) == ""
    message = unrankable({"epoch": 2.0, "val/few": value}, [FEW])
    assert message == f"val/few was {value} in epoch 2"
    assert unrankable({"epoch": 1.0}, [FEW]) == "val/few was nan in epoch 1"


def test_what_tune_adds_to_a_result_is_left_out():
    result = {"epoch": 3, "val/few": 0.5, "train/loss": 2, "lr": 0.1, "cost/seconds": 7}
    tunes = {"training_iteration": 3, "time_total_s": 1.5, "config/lr": 0.1, "hostname": "here"}
    numbers = own_metrics({**result, **tunes})
    assert numbers == result
    assert all(type(value) is float for value in numbers.values())
