"""What one process of a trial trains with."""

import numpy as np
import pytest
import torch

from raylt.data.images import Sealed
from raylt.trial import parts
from tests.trial.made import small

CPU = torch.device("cpu")


def test_the_test_images_are_sealed_and_what_was_read_is_read_once(tmp_path):
    splits = parts.splits_of(small(), tmp_path)
    assert isinstance(splits.test, Sealed)
    assert parts.splits_of(small(method="bcl"), tmp_path) is splits


def test_the_first_weights_are_a_function_of_the_seed_alone(tmp_path):
    splits = parts.splits_of(small(), tmp_path)
    torch.manual_seed(1)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    first = parts.method_of(small(seed=3), splits, CPU).state_dict()
    # Torch's own generator stands where it stood.
    assert torch.equal(torch.rand(1), drawn)
    torch.manual_seed(2)
    again = parts.method_of(small(seed=3), splits, CPU).state_dict()
    other = parts.method_of(small(seed=4), splits, CPU).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_every_epoch_follows_the_schedule_of_the_recipe(tmp_path):
    recipe = small(
        epochs=4,
        optimizer={"lr": 0.4, "batch_size": 128},
        schedule={"name": "step", "warmup": 2, "milestones": [3], "per": "epoch"},
    )
    made = parts.build(recipe, root=tmp_path, device=CPU)
    rates = [epoch.learning_rate for epoch in made.epochs(made.batches, start=0)]
    assert rates == pytest.approx([0.2, 0.4, 0.4, 0.04])
    assert made.optimizer.param_groups[0]["lr"] == pytest.approx(0.04)
    (rest,) = made.epochs(made.batches, start=3)
    assert rest.number == 4


@pytest.mark.parametrize(("given", "threads"), [("3", 3), ("", 1), ("many", 1)])
def test_a_trial_on_a_cpu_has_the_threads_that_it_was_given(monkeypatch, given, threads):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    try:
        assert parts.device_of("cpu") == CPU
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_batch_has_a_view_for_each_that_the_method_takes(tmp_path):
    made = parts.build(small(method="bcl"), root=tmp_path, device=CPU)
    batch = next(made.batches.epoch(0))
    assert len(batch.views) == 3
    assert batch.views[0].shape == (64, 1, 8, 8)
    assert set(np.unique(batch.labels)) <= set(range(10))
