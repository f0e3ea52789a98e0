"""Values that change in mid-run: which may, and that the run is the one its parts make."""

import shutil

import pytest
import torch
from pydantic import ValidationError

from raylt import recipe
from raylt.changes import changeable
from tests.trial.made import Killed, killed_after, run, small, weights

LATER = {"epoch": 2, "values": {"optimizer.lr": 0.02, "method.temperature": 0.4}}


def test_real_numbers_of_a_run_may_change_and_nothing_else():
    found = set(changeable(recipe.model("sdclr", "digits")))
    assert {"optimizer.lr", "method.temperature", "method.prune", "augment.crop"} <= found
    assert {"optimizer.momentum", "optimizer.weight_decay", "schedule.floor"} <= found
    for path in (
        "optimizer.batch_size",
        "method.refresh",
        "method.own_norms",
        "epochs",
        "size",
        "data.imbalance",
        "method.name",
        "seed",
    ):
        assert path not in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epoch": 3, "values": {"optimizer.lr": 0.1}}, "before the end at epoch 3"),
        ({"epoch": 1, "values": {"optimizer.batch_size": 32}}, "real numbers of the method"),
        ({"epoch": 1, "values": {"method.temprature": 0.2}}, "did you mean 'method.temperature'"),
        ({"epoch": 1, "values": {"method.temperature": -0.2}}, "greater than 0"),
    ],
)
def test_a_change_that_cannot_be_is_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        small(changes=[change])


def test_stages_are_the_recipes_that_hold():
    wanted = small(epochs=6, changes=[LATER, {"epoch": 4, "values": {"optimizer.lr": 0.01}}])
    stages = [
        (s.optimizer.lr, s.method.temperature, s.changes, end) for s, end in wanted.stages(0)
    ]
    assert stages == [(0.1, 0.2, (), 2), (0.02, 0.4, (), 4), (0.01, 0.4, (), 6)]
    assert [end for _, end in wanted.stages(3)] == [4, 6]
    assert wanted.final == list(wanted.stages(0))[-1][0]


def test_a_recipe_is_another_one_until_its_first_change():
    wanted = small(changes=[LATER])
    assert wanted.digest != small().digest
    assert wanted.forerunners == {small().digest: 2, wanted.digest: 3}


@pytest.mark.parametrize("method", ["sdclr", "bcl"])
def test_a_run_that_takes_over_anothers_checkpoint_equals_the_whole_schedule(method, tmp_path):
    parent, child = small(method), small(method, changes=[LATER])
    with pytest.raises(Killed):
        run(parent, tmp_path / "parent", killed_after(2))
    shutil.copytree(tmp_path / "parent", tmp_path / "child")
    run(child, tmp_path / "child")
    run(child, tmp_path / "whole")
    run(parent, tmp_path / "unchanged")
    (_, taken), (_, whole) = weights(tmp_path / "child", child), weights(tmp_path / "whole", child)
    assert all(torch.equal(taken[key], whole[key]) for key in whole)
    _, unchanged = weights(tmp_path / "unchanged", parent)
    assert not all(torch.equal(taken[key], unchanged[key]) for key in unchanged)
