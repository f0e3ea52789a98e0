import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from raylt.contrast import unit
from raylt.nn import second_stage
from raylt.nn.second_stage import label_distribution_aware_margin as margin_loss
from tests import references

seeds = st.integers(0, 2**31)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any), seeds)
def test_an_epoch_draws_every_class_equally_often(counts, seed):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    computed = second_stage.balanced(torch.tensor(counts), torch.Generator().manual_seed(seed))
    expected = [max(counts) if n else 0 for n in counts]
    assert labels[computed].bincount(minlength=len(counts)).tolist() == expected


def test_every_image_of_a_class_is_drawn_alike():
    generator = torch.Generator().manual_seed(0)
    hits = sum(
        second_stage.balanced(torch.tensor([400, 4]), generator).bincount() for _ in range(20)
    )
    # 8000 draws of the four rare images, five standard deviations.
    assert (hits[400:] - 2000).abs().max() < 5 * math.sqrt(8000 * 0.25 * 0.75)


def test_the_second_stage_is_torchs_sgd_on_the_draws():
    generator = torch.Generator().manual_seed(5)
    labels = 2 * (torch.rand(700, generator=generator) < 0.3).long()
    features = torch.randn(700, 3, generator=generator)
    settings = {"draws": 900, "batch_size": 512, "decay": 5e-4, "seed": 7}
    rates = (0.2, 0.15, 0.05)
    head = second_stage.retrained(features, labels, classes=4, rates=rates, **settings)

    generator = torch.Generator().manual_seed(7)
    layer = nn.Linear(3, 4)
    nn.init.normal_(layer.weight, std=0.01, generator=generator)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1, momentum=0.9, weight_decay=5e-4)
    order = labels.argsort(stable=True)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        for chosen in order[second_stage.balanced(labels.bincount(), generator)][:900].split(512):
            optimizer.zero_grad()
            functional.cross_entropy(layer(features[chosen]), labels[chosen]).backward()
            optimizer.step()
    assert_close(head(features), layer(features).detach(), rtol=1e-4, atol=1e-5)


def scaled(features, labels, weight, **changes):
    layer = nn.Linear(*reversed(weight.shape))
    layer.weight.data.copy_(weight)
    nn.init.constant_(layer.bias, 0.5)
    settings = {"rates": [0.3], "batch_size": 512, "decay": 0.0, "seed": 1}
    return second_stage.rescaled(features, labels, layer=layer, **settings | changes), layer


def test_learned_factors_are_the_golden_number():
    # One class has one image: every draw is that image, whose logits are 1.5 and -0.5.
    weight = torch.tensor([[1.0], [-1.0]])
    head, _ = scaled(torch.ones(1, 1), torch.tensor([0]), weight)
    wrong = 1 / (1 + math.exp(2))
    expected = [1.5 * (1 + 0.3 * wrong * 1.5), -0.5 * (1 + 0.3 * wrong * 0.5)]
    assert head(torch.ones(1, 1))[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_factors_are_torchs_sgd_on_the_draws_and_the_layer_stays():
    generator = torch.Generator().manual_seed(5)
    labels = 2 * (torch.rand(700, generator=generator) < 0.3).long()
    features, weight = (torch.randn(n, 3, generator=generator) for n in (700, 4))
    rates = (0.2, 0.15, 0.05)
    head, layer = scaled(features, labels, weight, rates=rates, decay=5e-4, seed=7)
    assert torch.equal(layer.weight, weight)

    generator = torch.Generator().manual_seed(7)
    factors = nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([factors], lr=1, momentum=0.9, weight_decay=5e-4)
    order = labels.argsort(stable=True)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        for chosen in order[second_stage.balanced(labels.bincount(), generator)].split(512):
            optimizer.zero_grad()
            logits = factors * layer(features[chosen]).detach()
            functional.cross_entropy(logits, labels[chosen]).backward()
            optimizer.step()
    assert_close(head(features), (factors * layer(features)).detach())


@given(seeds, st.permutations(range(3)))
def test_factors_know_no_order_of_classes(seed, order):
    generator = torch.Generator().manual_seed(seed)
    features, weight = (torch.randn(n, 2, generator=generator) for n in (9, 3))
    labels, place = torch.arange(9) // 3, torch.tensor(order)
    moved = torch.empty_like(weight)
    moved[place] = weight
    # Each class is as frequent as any other and stands once for each of its images.
    every = {"rates": [0.3] * 3, "batch_size": 10**6}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_stage, "balanced", lambda counts, generator: torch.arange(9))
        head, other = (
            scaled(features, truth, vectors, **every)[0]
            for truth, vectors in ((labels, weight), (place[labels], moved))
        )
    assert_close(other(features)[:, place], head(features))


@pytest.mark.parametrize("stage", [second_stage.class_balanced, second_stage.ldam])
def test_a_second_stage_does_not_prefer_the_large_class(stage):
    """Two classes of one distribution each at both sides of an angle, 200 images to 4."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.tensor([0] * 200 + [1] * 4)
    noise = 0.4 * torch.randn(204, 2, generator=generator)
    features = torch.stack([2 * labels - 1, torch.ones(204)], 1) + noise
    head = stage(features, labels, classes=2, seed=0)
    angle = torch.linspace(-1, 1, 401)
    line = torch.stack([angle.sin(), angle.cos()], 1)
    boundary = angle[head(line).argmax(1).diff().nonzero()]
    assert len(boundary) == 1
    assert boundary.abs().max() < 0.2


@pytest.mark.parametrize("stage", [second_stage.class_balanced, second_stage.ldam])
def test_a_second_stage_is_the_same_whenever_it_is_asked_and_knows_no_gradient(stage):
    features = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(30) % 3
    with torch.no_grad():
        first, second = (stage(features, labels, classes=4, seed=7)(features) for _ in range(2))
    assert first.shape == (30, 4)
    assert not first.requires_grad
    assert torch.equal(first, second)
    assert not torch.equal(first, stage(features, labels, classes=4, seed=8)(features))


def cosines(images, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    values = 2 * torch.rand(images, classes, generator=generator, dtype=torch.float64) - 1
    return values, labels, torch.randint(1, 500, (classes,), generator=generator)


@given(st.integers(1, 6), st.integers(1, 5), seeds)
def test_the_margin_loss_is_the_formula_read_slowly(images, classes, seed):
    values, labels, counts = cosines(images, classes, seed)
    expected = references.label_distribution_aware_margin(
        values.tolist(), labels.tolist(), counts.tolist(), largest=0.5, scale=30.0, beta=0.9999
    )
    assert_close(margin_loss(values, labels, counts).item(), expected)


def test_the_margin_loss_is_the_golden_number():
    # Margins 0.25 and 0.5; both classes lie at 0.2, so the own one falls behind by 7.5 and by 15.
    values = torch.full((2, 2), 0.2, dtype=torch.float64)
    computed = margin_loss(values, torch.tensor([0, 1]), torch.tensor([16, 1]))
    weight = (1 - 0.9999) / (1 - 0.9999**16)
    losses = math.log1p(math.exp(7.5)), math.log1p(math.exp(15))
    expected = (weight * losses[0] + losses[1]) / (weight + 1)
    assert computed.item() == pytest.approx(expected, rel=1e-12)


@given(seeds, st.permutations(range(4)))
def test_the_margin_loss_knows_no_order_of_classes_and_a_common_margin_where_all_are_alike(
    seed, order
):
    values, labels, counts = cosines(7, 4, seed)
    place = torch.tensor(order)
    moved = torch.empty_like(values)
    moved[:, place] = values
    at = torch.empty_like(counts)
    at[place] = counts
    assert_close(margin_loss(moved, place[labels], at), margin_loss(values, labels, counts))
    own = functional.one_hot(labels, 4)
    plain = functional.cross_entropy(30 * (values - 0.5 * own), labels)
    assert_close(margin_loss(values, labels, torch.full((4,), 9)), plain)


def test_the_margins_are_learned_by_torchs_sgd_on_cosines():
    """The first steps, with all images in a batch, beside a loop over torch's own parts."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(40, 6, generator=generator)
    labels = torch.tensor([0] * 30 + [1] * 7 + [2] * 3)
    head = second_stage.ldam(features, labels, classes=3, seed=5)

    generator = torch.Generator().manual_seed(5)
    weight = unit(torch.empty(3, 6).uniform_(-1, 1, generator=generator))
    layer = nn.Linear(6, 3, bias=False)
    layer.weight.data.copy_(weight)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(200):
        for n in (140, 180, 190):
            if epoch == n:
                optimizer.param_groups[0]["lr"] *= 0.1
        optimizer.zero_grad()
        cosine = functional.cosine_similarity(features[:, None], layer.weight[None], dim=2)
        margin_loss(cosine, labels, labels.bincount()).backward()
        optimizer.step()
    cosine = functional.cosine_similarity(features[:, None], layer.weight[None], dim=2)
    assert_close(head(features), 30 * cosine.detach(), rtol=1e-3, atol=1e-2)
