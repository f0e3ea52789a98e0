import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import encoders
from raylt.contrast import unit
from raylt.methods.kcl import k_positive_contrastive, others_of_the_class
from raylt.methods.tsc import TSC, Config, energy, matched, spread, targeted_contrastive
from raylt.nn.draw import highest, random_ranks
from tests import golden, references


def drawn(images, seed, count):
    """Unit views, the views drawn beside the twins, the targets of three classes, and classes."""
    generator = torch.Generator().manual_seed(seed)
    features = unit(torch.randn(images, 2, 4, generator=generator, dtype=torch.float64))
    targets = unit(torch.randn(3, 4, generator=generator, dtype=torch.float64))
    labels = torch.randint(3, (images,), generator=generator)
    same = others_of_the_class(labels, labels, start=0)
    ranks = random_ranks(torch.tensor(seed), torch.tensor(1), *same.shape, start=0)
    return features, highest(same, ranks, count=count), targets, labels


cases = st.tuples(st.integers(1, 4), st.integers(0, 2**31), st.integers(0, 3))


@given(cases, st.floats(0.05, 1), st.floats(0, 2))
def test_it_is_the_formula_read_slowly(case, temperature, weight):
    features, chosen, targets, labels = drawn(*case)
    computed = targeted_contrastive(
        features, chosen, targets, labels, temperature=temperature, target_weight=weight
    )
    expected = references.targeted_contrastive(
        features.flatten(0, 1).tolist(),
        [row.nonzero().flatten().tolist() for row in chosen],
        targets.tolist(),
        labels.tolist(),
        temperature,
        weight,
    )
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", golden.cases("targeted_contrastive"))
def test_it_is_the_golden_number(case):
    def of_flat(features, **others):
        return targeted_contrastive(features.unflatten(0, (-1, 2)), **others)

    golden.assert_agrees(of_flat, case)


@given(cases)
def test_turning_views_and_targets_together_changes_nothing(case):
    features, chosen, targets, labels = drawn(*case)
    turn, _ = torch.linalg.qr(drawn(2, case[1], 0)[0].flatten(0, 1))
    value, turned = (
        targeted_contrastive(f, chosen, t, labels, temperature=0.2, target_weight=0.2)
        for f, t in ((features, targets), (features @ turn, targets @ turn))
    )
    assert_close(turned, value)


def test_everything_alike_costs_the_logs_of_what_it_is_compared_with():
    features, targets = torch.ones(3, 2, 1).double(), torch.ones(4, 1).double()
    chosen, labels = torch.zeros(6, 6, dtype=torch.bool), torch.tensor([0, 1, 3])
    computed = targeted_contrastive(
        features, chosen, targets, labels, temperature=0.07, target_weight=0.2
    )
    assert computed.item() == pytest.approx(1.2 * math.log(5 + 4))


@pytest.mark.parametrize(("classes", "dim"), [(2, 2), (4, 8), (100, 128), (10, 10)])
def test_few_targets_are_the_corners_of_a_simplex(classes, dim):
    points = spread(classes, dim)
    cosines = points @ points.T
    expected = torch.full_like(cosines, -1 / (classes - 1)).fill_diagonal_(1)
    assert_close(cosines, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("classes", "dim", "nearest"),
    [(3, 2, -1 / 2), (5, 2, math.cos(2 * math.pi / 5)), (4, 3, -1 / 3), (6, 3, 0.0)],
)
def test_more_targets_are_a_polygon_a_tetrahedron_an_octahedron(classes, dim, nearest):
    torch.manual_seed(0)
    points = spread(classes, dim)
    cosines = (points @ points.T).fill_diagonal_(-1)
    assert_close(points.norm(dim=1), torch.ones(classes))
    assert_close(cosines.max(1).values, torch.full((classes,), nearest), rtol=0, atol=0.02)


def test_the_energy_is_the_programs_but_for_a_point_with_itself():
    points = unit(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double())
    whole = (points @ points.T / 0.07).logsumexp(1).mean().item()
    others = 4 * math.exp(energy(points).item() - 1 / 0.07)
    assert whole == pytest.approx(1 / 0.07 + others, abs=3 * others**2)


def test_a_simplex_has_less_energy_than_what_is_near_it_and_than_chance():
    torch.manual_seed(0)
    points = spread(6, 8).double()
    least = energy(points)
    for _ in range(20):
        assert energy(unit(points + 0.05 * torch.randn(6, 8).double())) > least
        assert energy(unit(torch.randn(6, 8).double())) > least


@given(st.integers(2, 5), st.integers(0, 2**31))
def test_classes_are_matched_as_if_all_assignments_were_tried(classes, seed):
    generator = torch.Generator().manual_seed(seed)
    centroids, targets = (unit(torch.randn(classes, 3, generator=generator)) for _ in range(2))
    cosines = (centroids @ targets.T).tolist()
    best = max(
        sum(row[k] for row, k in zip(cosines, order, strict=True))
        for order in itertools.permutations(range(classes))
    )
    computed = matched(centroids, targets).tolist()
    assert sorted(computed) == list(range(classes))
    reached = sum(row[k] for row, k in zip(cosines, computed, strict=True))
    assert reached == pytest.approx(best, abs=1e-5)


def built(**changes):
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return TSC(Config(**changes), net, torch.tensor([40, 9, 3]))


def test_before_the_warm_up_is_over_it_is_kcl():
    method = built(warmup=1, out_dim=8)
    views, labels = [torch.rand(6, 1, 8, 8) for _ in range(2)], torch.tensor([0, 0, 0, 1, 1, 2])
    method.begin_epoch(0)
    terms = method(views, labels)
    assert terms["target"] == 0
    first, second = method.head(method.encoder(torch.cat(views))).chunk(2)
    same = others_of_the_class(labels, labels, start=0)
    draw = method.draw
    chosen = highest(same, random_ranks(draw.seed, draw.calls, *same.shape, start=0), count=6)
    expected = k_positive_contrastive(
        unit(torch.stack([first, second], 1)), chosen, temperature=0.07
    )
    assert_close(terms["contrast"], expected)
    method.begin_epoch(1)
    assert method(views, labels)["target"] > 0


def test_a_centroid_follows_its_class_and_its_target_comes_to_it():
    method = built(out_dim=8)
    features = unit(torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(1)))
    before = method.centroids.clone()
    method._follow(features, torch.tensor([1, 1]))
    mean = unit(features.mean((0, 1)))
    assert_close(method.centroids[1], unit(0.9 * before[1] + 0.1 * mean))
    assert torch.equal(method.centroids[[0, 2]], before[[0, 2]])

    corners = method.targets.clone()
    method.centroids.copy_(corners[[2, 0, 1]])
    method.begin_epoch(0)
    assert torch.equal(method.targets, corners[[2, 0, 1]])


@pytest.mark.parametrize("changes", [{"positives": -1}, {"target_weight": -1}, {"warmup": -1}])
def test_a_knob_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Config(**changes)
