"""The published form computes what raylt does: only then is a ratio of times worth anything."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from benchmarks import made, pairs, published, steps
from raylt.contrast import nt_xent
from raylt.methods.bcl import balanced_contrastive
from raylt.nn.masked import magnitude_masks

CPU = torch.device("cpu")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_its_loss_is_ours(generator):
    first, second = (torch.randn(6, 4, generator=generator) for _ in range(2))
    theirs = published.nt_xent(first, second, 0.2)
    torch.testing.assert_close(theirs, nt_xent(first, second, temperature=0.2))


def test_its_balanced_contrast_is_ours(generator):
    rows = functional.normalize(torch.randn(7, 2, 4, generator=generator), dim=2)
    prototypes = functional.normalize(torch.randn(5, 4, generator=generator), dim=1)
    labels = torch.tensor([0, 0, 1, 2, 2, 2, 0])
    ours = balanced_contrastive(
        rows,
        labels,
        prototypes,
        torch.tensor([5, 4, 3, 2, 1]),
        temperature=0.1,
        complement_weight=1.0,
        complement_power=0.0,
        absent="count",
    )
    theirs = published.bcl_contrast(rows, labels, prototypes, temperature=0.1)
    torch.testing.assert_close(theirs, ours)


@pytest.mark.parametrize("name", ["sdclr", "bcl"])
def test_its_step_has_our_gradient(name):
    theirs, ours = (
        made.method(name, "small", classes=4, size=8, device=CPU, channels_last=last)
        for last in (False, True)
    )
    batch = made.batch(
        2 if name == "sdclr" else 3, n=8, size=8, classes=4, device=CPU, channels_last=False
    )
    still = torch.optim.SGD(theirs.parameters(), lr=0.0)
    for item in (theirs, ours):
        item.train()
        item.begin_epoch(0)
    if name == "sdclr":
        published.sdclr_step(theirs, still, list(batch.views), 0.2)
    else:
        published.bcl_step(theirs, still, list(batch.views), batch.labels)
    sum(ours(batch.views, batch.labels).values()).backward()
    expected = dict(ours.named_parameters())
    for path, parameter in theirs.named_parameters():
        torch.testing.assert_close(
            parameter.grad, expected[path].grad, rtol=1e-3, atol=1e-5, msg=path
        )


def test_its_masks_are_ours():
    method = made.method("sdclr", "small", classes=4, size=8, device=CPU, channels_last=True)
    published.renew_masks(method, 0.9)
    theirs = [mask.clone() for mask in method.competitor.masks.buffers()]
    ours = magnitude_masks(method.competitor.weights(), 0.9)
    kept, kept_too = (sum(int(mask.sum()) for mask in masks) for masks in (theirs, ours))
    # The published index is the floor of a product, ours its ceiling.
    assert abs(kept - kept_too) <= 1


def test_its_views_are_of_the_size_asked():
    look = published.sim(16, crop=0.5, flip=0.0, jitter=0.5, grey=0.0)
    pixels = np.zeros((3, 1, 8, 8), np.uint8)
    views = published.Views(pixels, np.arange(3), [look, look])
    (first, second), labels = next(iter(published.loader(views, batch=3, workers=0)))
    assert first.shape == second.shape == (3, 1, 16, 16)
    assert sorted(labels.tolist()) == [0, 1, 2]


def test_every_pair_of_a_step_runs():
    pair = steps.evaluation(images=30, size=8, device=CPU)
    assert 0 <= pair.published() <= 1
    pair.raylt()
    for pair in (*steps.losses(n=4, device=CPU), steps.masks("small", device=CPU)):
        assert pairs.measure(pair, rounds=1).ratio > 0
