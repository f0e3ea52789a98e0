import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.testing import assert_close

from raylt.nn import probe


def clusters(images, classes, width, seed, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    labels = torch.arange(images) % classes
    return centres[labels] + spread * torch.randn(images, width, generator=generator), labels


@pytest.mark.parametrize("kind", ["lbfgs", "sgd", "sgd-few-shot", "adam"])
def test_separable_features_are_separated(kind):
    features, labels = clusters(400, 4, 16, seed=0, spread=0.5)
    head = probe.linear(
        features, labels, classes=4, kind=kind, early=False, batch_size=128, seed=0
    )
    unseen, truth = clusters(400, 4, 16, seed=1, spread=0.5)
    logits = head(unseen)
    assert logits.shape == (400, 4)
    assert not logits.requires_grad
    assert (logits.argmax(1) == truth).float().mean() > 0.95


@pytest.mark.parametrize("kind", ["lbfgs", "sgd", "adam"])
def test_the_same_seed_gives_the_same_probe(kind):
    features, labels = clusters(100, 3, 4, seed=0)
    first, second = (
        probe.linear(features, labels, classes=3, kind=kind, early=False, batch_size=128, seed=1)(
            features
        )
        for _ in range(2)
    )
    assert_close(first, second, rtol=0, atol=0)


def test_lbfgs_is_the_minimum_of_the_penalised_likelihood():
    features, labels = clusters(300, 3, 5, seed=0, spread=3.0)
    features = features * torch.tensor([1, 10, 0.1, 1, 1]) + 5
    head = probe.linear(
        features, labels, classes=3, kind="lbfgs", early=False, batch_size=128, seed=0
    )
    standard = (features - features.mean(0)) / features.std(0, correction=0)
    # scikit-learn divides the penalty by C and sums over the images instead of averaging.
    theirs = LogisticRegression(C=1 / (1e-4 * 300), max_iter=2000, tol=1e-8)
    theirs.fit(standard.double().numpy(), labels.numpy())
    expected = theirs.predict_proba(standard.double().numpy())
    computed = head(features).softmax(1).numpy()
    assert np.abs(computed - expected).max() < 2e-3


def test_a_constant_feature_does_no_harm():
    features, labels = clusters(100, 2, 4, seed=0)
    features[:, 2] = 7.0
    head = probe.linear(
        features, labels, classes=2, kind="lbfgs", early=False, batch_size=128, seed=0
    )
    assert head(features).isfinite().all()


def test_a_probe_can_be_fitted_where_gradients_are_off():
    features, labels = clusters(60, 2, 4, seed=0, spread=0.3)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        head = probe.linear(
            features.bfloat16(),
            labels,
            classes=2,
            kind="lbfgs",
            early=False,
            batch_size=128,
            seed=0,
        )
        assert head(features).dtype == torch.float32
        assert (head(features).argmax(1) == labels).float().mean() > 0.9


def test_a_class_without_an_image_is_never_predicted():
    features, labels = clusters(90, 3, 4, seed=0)
    head = probe.linear(
        features, labels, classes=5, kind="lbfgs", early=False, batch_size=128, seed=0
    )
    assert head(features).shape == (90, 5)
    assert head(features).argmax(1).max() < 3
    computed = probe.neighbours(features, labels, features, classes=5, k=3)
    assert computed.max() < 3


def test_neighbours_vote_by_direction_alone():
    known = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    labels = torch.tensor([0, 0, 1])
    asked = torch.tensor([[100.0, 1.0], [0.001, 0.01]])
    assert probe.neighbours(known, labels, asked, classes=2, k=1).tolist() == [0, 1]
    assert probe.neighbours(known, labels, asked, classes=2, k=3).tolist() == [0, 0]
    # More than there are: all vote.
    assert probe.neighbours(known, labels, asked, classes=2, k=20).tolist() == [0, 0]


def test_a_tie_goes_to_the_closer_neighbour():
    known = torch.tensor([[1.0, 0.2], [1.0, 0.1]])
    asked = torch.tensor([[1.0, 0.0]])
    for labels in ([0, 1], [1, 0]):
        computed = probe.neighbours(known, torch.tensor(labels), asked, classes=2, k=2)
        assert computed.tolist() == [labels[1]]


def test_many_questions_are_answered_in_order():
    known, labels = clusters(50, 5, 8, seed=0, spread=0.1)
    asked, truth = clusters(2500, 5, 8, seed=1, spread=0.1)
    computed = probe.neighbours(known, labels, asked, classes=5, k=5)
    assert (computed == truth).all()
    assert probe.neighbours(known, labels, asked[:0], classes=5, k=5).shape == (0,)


@pytest.mark.parametrize(
    ("few", "early", "falls", "epochs"),
    [
        (False, False, (10, 20), 30),
        (False, True, (9, 19), 30),
        (True, False, (40, 60), 100),
        (True, True, (39, 59), 100),
    ],
)
def test_the_learning_rate_falls_where_the_program_has_it(few, early, falls, epochs):
    rates = probe.sgd_rates(few=few, early=early)
    assert len(rates) == epochs
    first, second = falls
    expected = [30.0] * first + [3.0] * (second - first) + [0.3] * (epochs - second)
    assert rates == pytest.approx(expected)


def test_a_step_is_one_of_torchs_own_optimizer():
    features, labels = clusters(96, 4, 8, seed=0, spread=3.0)
    fitted = probe.Descent(8, 4, torch.Generator().manual_seed(3), torch.device("cpu"), decay=0.0)
    layer = torch.nn.Linear(8, 4)
    torch.nn.init.normal_(layer.weight, std=0.01, generator=torch.Generator().manual_seed(3))
    torch.nn.init.zeros_(layer.bias)
    theirs = torch.optim.SGD(layer.parameters(), lr=0.5, momentum=0.9)
    for rate in (0.5, 0.5, 0.5, 0.05, 0.05):
        theirs.param_groups[0]["lr"] = rate
        for chosen in torch.arange(96).split(32):
            theirs.zero_grad()
            logits = layer(features[chosen])
            torch.nn.functional.cross_entropy(logits, labels[chosen]).backward()
            theirs.step()
            fitted.step(features[chosen], labels[chosen], rate)
    assert_close(fitted.head()(features), layer(features).detach(), rtol=1e-4, atol=1e-4)


def test_an_early_fall_is_another_probe():
    features, labels = clusters(200, 4, 8, seed=0, spread=3.0)
    textbook, early = (
        probe.linear(features, labels, classes=4, kind="sgd", early=early, batch_size=128, seed=0)(
            features
        )
        for early in (False, True)
    )
    assert not torch.equal(textbook, early)


def test_a_head_does_not_move_with_later_steps():
    features, labels = clusters(60, 2, 4, seed=0)
    fitted = probe.Descent(4, 2, torch.Generator().manual_seed(0), torch.device("cpu"), decay=0.0)
    head = fitted.head()
    before = head(features)
    fitted.step(features, labels, 1.0)
    assert torch.equal(head(features), before)
    assert not torch.equal(fitted.head()(features), before)
