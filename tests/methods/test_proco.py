import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ive
from scipy.stats import vonmises_fisher
from torch.testing import assert_close

from raylt import encoders
from raylt.methods.proco import Config, ProCo, log_expectation, probabilistic_contrastive
from tests import golden, references

COUNTS = torch.tensor([40, 9, 3])


def drawn(rows, dim, seed, *, lengths=(0.3, 0.6, 0.9)):
    generator = torch.Generator().manual_seed(seed)

    def unit(n):
        raw = torch.randn(n, dim, generator=generator, dtype=torch.float64)
        return raw / raw.norm(dim=1, keepdim=True)

    means = unit(len(lengths)) * torch.tensor(lengths, dtype=torch.float64)[:, None]
    return unit(rows), torch.randint(len(lengths), (rows,), generator=generator), means


@settings(max_examples=25)
@given(
    st.integers(1, 4),
    st.sampled_from([32, 33, 64, 128]),
    st.integers(0, 2**31),
    st.floats(0.05, 1),
    st.floats(0, 1.5),
)
def test_it_is_the_formula_read_slowly(rows, dim, seed, temperature, tau):
    features, labels, means = drawn(rows, dim, seed)
    expected = references.probabilistic_contrastive(
        features.tolist(), labels.tolist(), means.tolist(), COUNTS.tolist(), temperature, tau
    )
    computed = probabilistic_contrastive(
        features, labels, means, COUNTS, temperature=temperature, tau=tau
    )
    assert computed.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", golden.cases("probabilistic_contrastive"))
def test_it_is_the_golden_number(case):
    golden.assert_agrees(probabilistic_contrastive, case)


@pytest.mark.parametrize("dim", [32, 128, 1024])
def test_it_is_scipys_bessel_function_at_every_concentration(dim):
    order = dim / 2 - 1
    direction = torch.zeros(1, dim, dtype=torch.float64)
    direction[0, 0] = 1
    lengths = np.array([0.05, 0.3, 0.7, 0.9, 0.99, 0.999])
    means = direction * torch.tensor(lengths)[:, None]
    computed = log_expectation(direction, means, temperature=0.1)[0].numpy()
    k = np.minimum(lengths * (dim - lengths**2) / (1 - lengths**2), 1e5)

    def log_mass(x):
        return np.log(ive(order, x)) + x - order * np.log(x)

    with np.errstate(divide="ignore", invalid="ignore"):
        expected = log_mass(k + 10) - log_mass(k)
    # scipy's values of the largest order vanish at small concentrations.
    usable = np.isfinite(expected)
    assert usable.sum() >= 3
    np.testing.assert_allclose(computed[usable], expected[usable], rtol=1e-9, atol=1e-9)


def test_it_is_the_mean_over_many_drawn_keys():
    """The claim of the paper itself: the closed form is an expectation over the distribution."""
    dim, length, temperature = 32, 0.7, 0.5
    features, _, means = drawn(3, dim, 5, lengths=(length,))
    concentration = length * (dim - length**2) / (1 - length**2)
    direction = (means[0] / length).numpy()
    keys = vonmises_fisher(direction, concentration).rvs(200_000, random_state=1)
    closed = log_expectation(features, means, temperature=temperature)
    for row, computed in zip(features, closed, strict=True):
        drawn_mean = np.log(np.exp(keys @ row.numpy() / temperature).mean())
        assert computed.item() == pytest.approx(drawn_mean, abs=0.02)


@given(st.integers(0, 2**31), st.permutations(range(3)), st.permutations(range(5)))
@settings(max_examples=20)
def test_the_order_of_classes_and_rows_does_not_matter(seed, classes, rows):
    features, labels, means = drawn(5, 32, seed)
    value = probabilistic_contrastive(features, labels, means, COUNTS, temperature=0.1, tau=1.0)
    assert_close(
        probabilistic_contrastive(
            features[rows], labels[rows], means, COUNTS, temperature=0.1, tau=1.0
        ),
        value,
    )
    place = torch.tensor([classes.index(k) for k in range(3)])
    moved = probabilistic_contrastive(
        features, place[labels], means[classes], COUNTS[classes], temperature=0.1, tau=1.0
    )
    assert_close(moved, value)


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_turning_everything_together_changes_nothing(seed):
    features, labels, means = drawn(4, 32, seed)
    turn, _ = torch.linalg.qr(
        torch.randn(32, 32, generator=torch.Generator().manual_seed(seed)).double()
    )
    value, turned = (
        probabilistic_contrastive(f, labels, m, COUNTS, temperature=0.1, tau=1.0)
        for f, m in ((features, means), (features @ turn, means @ turn))
    )
    assert_close(turned, value, rtol=1e-9, atol=1e-9)


def test_classes_alike_cost_the_log_of_their_number():
    features, labels, means = drawn(4, 32, 0, lengths=(0.5,))
    means = means.expand(7, -1)
    counts = torch.full((7,), 20)
    value = probabilistic_contrastive(features, labels, means, counts, temperature=0.1, tau=1.0)
    assert value.item() == pytest.approx(math.log(7), abs=1e-9)


def test_concentrated_classes_are_a_softmax_over_their_directions():
    features, _, means = drawn(4, 32, 0, lengths=(1 - 1e-12,) * 3)
    computed = log_expectation(features, means, temperature=0.5)
    assert_close(computed, features @ means.T / 0.5, rtol=0, atol=0.01)


@pytest.mark.parametrize("length", [0.0, 1e-8, 1.0])
def test_a_mean_without_direction_or_spread_has_a_finite_gradient(length):
    features, labels, means = drawn(4, 32, 0)
    means = torch.cat([means[:2], length * means[2:] / means[2:].norm()])
    features.requires_grad_()
    for temperature in (0.01, 1.0):
        value = probabilistic_contrastive(
            features, labels, means, COUNTS, temperature=temperature, tau=1.0
        )
        (gradient,) = torch.autograd.grad(value, features)
        assert value.isfinite()
        assert gradient.isfinite().all()


def built():
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return ProCo(Config(out_dim=32, hidden_dim=16), net, COUNTS)


def test_a_class_is_the_mean_of_this_epoch_and_the_last():
    method = built()
    labels = torch.tensor([0, 0, 1])
    views = [torch.rand(3, 1, 8, 8) for _ in range(3)]
    rows = torch.randn(3, 3, 32, generator=torch.Generator().manual_seed(2))
    method.begin_epoch(0)
    for epoch in range(3):
        method._remember(rows[epoch], labels)
        expected = rows[max(epoch - 1, 0) : epoch + 1, :2].mean((0, 1))
        assert_close(method._means()[0], expected)
        # A class that was never seen keeps its guess.
        assert torch.equal(method._means()[2], method.guess[2])
        method.begin_epoch(epoch + 1)
    assert method.guess.norm(dim=1).tolist() == pytest.approx([0.9] * 3)
    assert method(views, labels)["contrast"].isfinite()


def test_predictions_do_not_move_the_means():
    method = built()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.eval()
    method.classifier()(torch.rand(4, 1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize("changes", [{"out_dim": 16}, {"contrastive_weight": 0}, {"tau": -1}])
def test_a_knob_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Config(**changes)
