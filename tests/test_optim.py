import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from raylt.optim import learning_rate, optimizer


def rate(step, **changes):
    given = {
        "steps": 1,
        "epochs": 20,
        "peak": 0.5,
        "warmup": 4,
        "name": "cosine",
        "floor": 1e-6,
        "milestones": (10, 15),
        "gamma": 0.1,
        "per": "step",
        "early": False,
    }
    return learning_rate(step, **given | changes)


def test_the_warm_up_is_linear_and_never_zero():
    assert [rate(step) for step in range(4)] == [0.125, 0.25, 0.375, 0.5]
    assert rate(0, warmup=0) == 0.5


def test_the_cosine_goes_from_the_peak_to_the_floor():
    assert rate(4) == 0.5
    assert rate(12) == pytest.approx((0.5 + 1e-6) / 2)
    assert rate(20) == pytest.approx(1e-6)


@given(st.integers(1, 60), st.floats(1e-3, 10), st.floats(0, 1e-3))
def test_the_cosine_is_torchs_own_schedule(total, peak, floor):
    model = nn.Linear(1, 1)
    theirs = torch.optim.SGD(model.parameters(), lr=peak)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=total, eta_min=floor)
    for step in range(total):
        ours = rate(step, peak=peak, floor=floor, warmup=0, epochs=total)
        assert ours == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-6, abs=1e-9)
        theirs.step()
        schedule.step()


def sdclrs(step, total, warmup, peak, floor):
    """The rule of SDCLR's program, which counts updates from 1."""
    if step < warmup:
        return peak * step / warmup
    turn = math.pi * (step - warmup) / (total - warmup)
    return floor + (peak - floor) * 0.5 * (1 + math.cos(turn))


def test_an_early_cosine_is_sdclrs_schedule():
    # CIFAR-100-LT: 2000 epochs of 20 updates, 10 of them warm-up.
    steps = range(0, 40_000, 7)
    ours = [rate(step, steps=20, epochs=2000, warmup=10, early=True) for step in steps]
    theirs = [sdclrs(step + 1, 40_000, 200, 0.5, 1e-6) for step in steps]
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert rate(39_999, steps=20, epochs=2000, warmup=10, early=True) == pytest.approx(1e-6)
    late = [rate(step, steps=20, epochs=2000, warmup=10) for step in steps]
    assert 1e-5 < max(abs(a - b) for a, b in zip(late, theirs, strict=True)) < 2.1e-5


def test_per_epoch_all_steps_of_an_epoch_have_one_rate():
    rates = [rate(s, steps=43, warmup=5, per="epoch", name="step") for s in range(20 * 43)]
    assert rates[: 5 * 43] == pytest.approx(
        [0.1] * 43 + [0.2] * 43 + [0.3] * 43 + [0.4] * 43 + [0.5] * 43
    )
    assert [rates[43 * e] for e in (9, 10, 14, 15)] == pytest.approx([0.5, 0.05, 0.05, 0.005])
    by_step = [rate(s, steps=43, warmup=5, name="step") for s in range(5 * 43)]
    assert sum(by_step) / sum(rates[: 5 * 43]) == pytest.approx(0.84, abs=0.005)


@pytest.mark.parametrize("warmup", [0, 4])
def test_per_epoch_a_cosine_is_bcls_program(warmup):
    for epoch in range(warmup, 20):
        turn = math.pi * (epoch - warmup + 1) / (20 - warmup + 1)
        expected = 0.5 * 0.5 * (1 + math.cos(turn))
        ours = rate(43 * epoch + 42, steps=43, warmup=warmup, floor=0.0, per="epoch")
        assert ours == pytest.approx(expected)


def test_steps_fall_at_their_milestones():
    rates = [rate(step, name="step") for step in (9, 10, 14, 15)]
    assert rates == pytest.approx([0.5, 0.05, 0.05, 0.005])


def test_constant_stays():
    assert {rate(step, name="constant") for step in range(4, 20)} == {0.5}


@given(st.integers(0, 99), st.integers(0, 50), st.sampled_from(["cosine", "step", "constant"]))
def test_the_rate_lies_between_zero_and_the_peak(step, warmup, name):
    assert 0 < rate(step, warmup=warmup, epochs=100, name=name) <= 0.5


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def stepped(model, moved, steps=1):
    for _ in range(steps):
        moved.zero_grad()
        sum((p**2).sum() for p in model.parameters()).backward()
        moved.step()
    return model


@pytest.mark.parametrize("name", ["sgd", "lars"])
def test_norms_and_biases_decay_only_if_asked(name):
    for decay_norms, expected in ((True, [0.1, 0.1]), (False, [0.1, 0.0])):
        built = optimizer(
            small(), name=name, lr=0.1, momentum=0.9, weight_decay=0.1, decay_norms=decay_norms
        )
        assert [group["weight_decay"] for group in built.param_groups] == expected
        assert [len(group["params"]) for group in built.param_groups] == [1, 3]


def test_sgd_is_sgd():
    ours, theirs = small(), small()
    stepped(
        ours,
        optimizer(ours, name="sgd", lr=0.1, momentum=0.9, weight_decay=0.01, decay_norms=True),
        3,
    )
    stepped(
        theirs, torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01), 3
    )
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_lars_moves_a_weight_by_a_thousandth_of_its_length():
    model = nn.Linear(3, 2, bias=False)
    before = model.weight.detach().clone()
    moved = optimizer(model, name="lars", lr=2.0, momentum=0.9, weight_decay=0.0, decay_norms=True)
    stepped(model, moved)
    distance = (model.weight - before).norm() / before.norm()
    assert distance.item() == pytest.approx(0.002, rel=1e-4)


def test_lars_gives_vectors_the_plain_step_and_keeps_its_velocity():
    model = nn.BatchNorm1d(2)
    moved = optimizer(model, name="lars", lr=0.1, momentum=0.5, weight_decay=0.0, decay_norms=True)
    # The gradient of p^2 is 2p: 1 - 0.2 = 0.8, then the velocity 0.5 * 0.2 + 0.1 * 1.6 = 0.26.
    stepped(model, moved, 2)
    assert model.weight.tolist() == pytest.approx([0.54, 0.54])
    assert "velocity" in moved.state_dict()["state"][0]


def test_lars_leaves_a_weight_of_zeros_trainable():
    model = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(model.weight)
    moved = optimizer(model, name="lars", lr=1.0, momentum=0.0, weight_decay=0.0, decay_norms=True)
    model.weight.grad = torch.ones_like(model.weight)
    moved.step()
    assert model.weight.tolist() == [[-1, -1], [-1, -1]]


def test_frozen_parameters_are_left_out():
    model = small()
    model[0].requires_grad_(False)
    built = optimizer(model, name="sgd", lr=1.0, momentum=0.0, weight_decay=0.0, decay_norms=True)
    assert sum(len(group["params"]) for group in built.param_groups) == 2


def test_a_rate_beyond_the_warm_up_never_divides_by_zero():
    assert math.isfinite(rate(0, warmup=0, epochs=1))
