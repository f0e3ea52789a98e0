import math

import pydantic
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import encoders
from raylt.contrast import unit
from raylt.methods.bcl import BCL, Config, balanced_contrastive, class_weights
from raylt.methods.supcon import supervised_contrastive
from tests import golden, references

RULES = ("count", "scaled", "linear")
seeds = st.integers(0, 2**31)
rules = st.sampled_from(RULES)


def drawn(images, views, classes, dim, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return unit(torch.randn(*shape, generator=generator, dtype=torch.float64))

    labels = torch.randint(classes, (images,), generator=generator)
    counts = torch.randint(1, 500, (classes,), generator=generator)
    return normal(images, views, dim), labels, normal(classes, dim), counts


def loss(features, labels, prototypes, counts, **changes):
    options = {
        "temperature": 0.2,
        "complement_weight": 1.0,
        "complement_power": 0.0,
        "absent": "count",
    }
    return balanced_contrastive(features, labels, prototypes, counts, **options | changes)


@given(
    images=st.integers(1, 5),
    views=st.integers(1, 2),
    classes=st.integers(2, 7),
    seed=seeds,
    temperature=st.floats(0.05, 1),
    weight=st.sampled_from([0.0, 1e-6, 0.3, 1.0, 7.0]),
    power=st.sampled_from([-0.5, 0.0, 0.5, 1.0]),
    absent=rules,
    averaged=st.booleans(),
)
def test_it_is_the_formula_read_slowly(
    images, views, classes, seed, temperature, weight, power, absent, averaged
):
    features, labels, prototypes, counts = drawn(images, views, classes, 3, seed)
    computed = balanced_contrastive(
        features,
        labels,
        prototypes,
        counts,
        temperature=temperature,
        complement_weight=weight,
        complement_power=power,
        absent=absent,
        averaged=averaged,
    )
    expected = references.balanced_contrastive(
        features.flatten(0, 1).tolist(),
        labels.repeat_interleave(views).tolist(),
        prototypes.tolist(),
        references.class_weights(counts.tolist(), weight, power),
        temperature,
        absent,
        averaged,
    )
    assert_close(computed.item(), expected, rtol=1e-10, atol=1e-10)


@given(st.integers(1, 6), seeds)
def test_without_averaging_and_prototypes_it_is_supcon(images, seed):
    features, labels, prototypes, counts = drawn(images, 2, 4, 3, seed)
    plain = loss(features, labels, prototypes, counts, complement_weight=0.0, averaged=False)
    assert_close(plain, supervised_contrastive(features, labels, temperature=0.2))


@pytest.mark.parametrize("case", golden.cases("balanced_contrastive"))
def test_it_is_the_golden_number(case):
    def of_flat(features, labels, **others):
        # The stored rows are the two views of an image, one after the other.
        return balanced_contrastive(features.unflatten(0, (-1, 2)), labels[::2], **others)

    golden.assert_agrees(of_flat, case)


@given(st.integers(2, 5), seeds, rules, st.randoms(use_true_random=False))
def test_the_order_of_images_and_views_does_not_matter(images, seed, absent, random):
    features, labels, prototypes, counts = drawn(images, 2, 4, 3, seed)
    options = {"absent": absent, "complement_power": 0.7}
    value = loss(features, labels, prototypes, counts, **options)
    order = random.sample(range(images), images)
    assert_close(loss(features[order], labels[order], prototypes, counts, **options), value)
    assert_close(loss(features.flip(1), labels, prototypes, counts, **options), value)


@given(seeds, rules, st.randoms(use_true_random=False))
def test_the_names_of_the_classes_do_not_matter(seed, absent, random):
    features, labels, prototypes, counts = drawn(4, 2, 5, 3, seed)
    renamed = torch.tensor(random.sample(range(5), 5))
    options = {"absent": absent, "complement_power": 0.7}
    value = loss(features, labels, prototypes, counts, **options)
    back = renamed.argsort()
    computed = loss(features, renamed[labels], prototypes[back], counts[back], **options)
    assert_close(computed, value)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=20), st.floats(0, 20), st.floats(-2, 2))
def test_class_weights_have_the_mean_that_was_asked_for(counts, weight, power):
    computed = class_weights(torch.tensor(counts), weight=weight, power=power)
    assert computed.mean().item() == pytest.approx(weight)
    assert computed.tolist() == pytest.approx(references.class_weights(counts, weight, power))


@given(st.integers(1, 9), st.integers(1, 500), st.floats(-2, 2))
def test_balanced_counts_weigh_all_classes_alike(classes, count, power):
    computed = class_weights(torch.full((classes,), count), weight=3.0, power=power)
    assert_close(computed, torch.full((classes,), 3.0, dtype=torch.float64))


def test_a_positive_power_favours_rare_classes():
    computed = class_weights(torch.tensor([500, 50, 5]), weight=1.0, power=0.5)
    assert_close(computed[1:] / computed[:-1], torch.full((2,), 10.0).sqrt().double())


@given(seeds, st.integers(2, 8))
def test_the_three_rules_are_the_paper_at_weight_one(seed, classes):
    batch = drawn(3, 2, classes, 3, seed)
    values = [loss(*batch, absent=absent) for absent in RULES]
    assert_close(values[0], values[1])
    assert_close(values[0], values[2])


@pytest.mark.parametrize("absent", RULES)
@pytest.mark.parametrize("weight", [0.5, 1.0, 4.0])
def test_at_collapse_it_is_the_log_of_the_number_of_classes(absent, weight):
    features = torch.zeros(6, 2, 3, dtype=torch.float64)
    features[..., 0] = 1
    prototypes = features[0, :1].expand(4, 3)
    labels, counts = torch.tensor([0, 0, 1, 2, 3, 3]), torch.tensor([9, 5, 2, 1])
    computed = loss(features, labels, prototypes, counts, complement_weight=weight, absent=absent)
    assert computed.item() == pytest.approx(math.log(4))


def test_a_small_weight_keeps_its_digits_in_float32():
    # The own class of a lone image has the mass 1 - 1 + weight.
    features, labels, prototypes, counts = drawn(2, 1, 4, 3, 0)
    labels = torch.tensor([0, 1])
    options = {"complement_weight": 1e-6}
    expected = loss(features, labels, prototypes, counts, **options)
    computed = loss(features.float(), labels, prototypes.float(), counts, **options)
    assert_close(computed.double(), expected, rtol=1e-5, atol=1e-5)


def test_at_collapse_without_prototypes_it_is_the_log_of_the_classes_present():
    features = torch.zeros(4, 2, 3, dtype=torch.float64)
    features[..., 0] = 1
    labels = torch.tensor([0, 0, 5, 7])
    computed = loss(
        features,
        labels,
        features[0, :1].expand(9, 3),
        torch.ones(9, dtype=torch.int64),
        complement_weight=0.0,
    )
    assert computed.item() == pytest.approx(math.log(3))


def test_with_weight_zero_prototypes_have_no_effect():
    features, labels, prototypes, counts = drawn(4, 2, 6, 3, 0)
    prototypes.requires_grad_()
    value = loss(features, labels, prototypes, counts, complement_weight=0.0)
    value.requires_grad_().backward()
    assert prototypes.grad is None or (prototypes.grad == 0).all()
    assert_close(loss(features, labels, -prototypes, counts, complement_weight=0.0), value)


def test_an_anchor_without_a_positive_is_left_out_with_a_finite_gradient():
    features, _, prototypes, counts = drawn(3, 1, 4, 3, 0)
    features.requires_grad_()
    # The class of the last image has no other image.
    labels = torch.tensor([1, 1, 2])
    value = loss(features, labels, prototypes, counts, complement_weight=0.0)
    value.backward()
    assert features.grad.isfinite().all()
    # It still repels the others.
    assert features.grad[2].abs().sum() > 0


@pytest.mark.parametrize("images", [1, 3])
def test_where_no_anchor_has_a_positive_the_loss_is_zero_and_has_a_gradient(images):
    features, _, prototypes, counts = drawn(images, 1, 4, 3, 0)
    features.requires_grad_()
    value = loss(features, torch.arange(images), prototypes, counts, complement_weight=0.0)
    value.backward()
    assert value == 0
    assert (features.grad == 0).all()


def test_a_batch_of_one_class_is_finite_and_not_negative():
    features, _, prototypes, counts = drawn(3, 2, 4, 3, 0)
    value = loss(
        features, torch.zeros(3, dtype=torch.int64), prototypes, counts, complement_weight=0.0
    )
    assert 0 <= value < math.inf


def test_a_lone_image_is_drawn_to_its_prototype():
    features, labels, prototypes, counts = drawn(1, 1, 4, 3, 0)
    logits = features[0, 0] @ prototypes.T / 0.2
    for weight in (0.3, 1.0, 5.0):
        value = loss(features, labels, prototypes, counts, complement_weight=weight)
        # A softmax over the prototypes.
        assert_close(value, -logits.log_softmax(0)[labels[0]])


def test_a_huge_weight_is_a_softmax_over_prototypes():
    features, labels, prototypes, counts = drawn(5, 2, 4, 3, 0)
    logits = features.flatten(0, 1) @ prototypes.T / 0.2
    expected = torch.nn.functional.cross_entropy(logits, labels.repeat_interleave(2))
    computed = loss(features, labels, prototypes, counts, complement_weight=1e9)
    assert_close(computed, expected, rtol=1e-6, atol=1e-6)


def test_only_the_literal_rule_jumps_at_weight_zero():
    # Of 50 classes 45 are absent, as in METHODS E3.
    generator = torch.Generator().manual_seed(0)
    features, _, prototypes, counts = drawn(10, 2, 50, 16, 0)
    labels = torch.randint(5, (10,), generator=generator)

    def value(weight, absent):
        return loss(
            features,
            labels,
            prototypes,
            counts,
            temperature=0.1,
            complement_weight=weight,
            absent=absent,
        ).item()

    none = value(0.0, "count")
    assert value(1e-6, "count") > none + 1
    for absent in ("scaled", "linear"):
        assert value(1e-6, absent) == pytest.approx(none, abs=1e-3)
        assert none < value(0.1, absent) < value(1.0, absent)
    # Above 1 the clamp of `scaled` holds, and `linear` goes on.
    assert value(5.0, "scaled") < value(1.0, "scaled") < value(5.0, "linear")


@pytest.mark.parametrize("absent", RULES)
def test_the_power_reaches_absent_classes_by_their_rule_alone(absent):
    # One anchor, whose only positive is its prototype: a softmax over prototypes.
    features, labels, prototypes, counts = drawn(1, 1, 5, 3, 0)
    weights = class_weights(counts, weight=1.0, power=1.0)
    factors = {"count": torch.ones(5), "scaled": weights.clamp(max=1), "linear": weights}[absent]
    factors[labels[0]] = 1
    logits = features[0, 0] @ prototypes.T / 0.2 + factors.log()
    computed = loss(features, labels, prototypes, counts, complement_power=1.0, absent=absent)
    assert_close(computed, -logits.log_softmax(0)[labels[0]])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_tiny_temperature_is_finite(dtype):
    features, labels, prototypes, counts = drawn(4, 2, 5, 3, 0)
    features = features.to(dtype).requires_grad_()
    value = loss(features, labels, prototypes.to(dtype), counts, temperature=0.001)
    value.backward()
    assert value.dtype == torch.float32
    assert features.grad.isfinite().all()


def built(**changes):
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return BCL(Config(hidden_dim=16, out_dim=8, **changes), net, torch.tensor([9, 5, 1]))


def test_views_are_named_in_the_programs_order():
    assert BCL.views(Config()) == ("policy", "sim", "sim")
    assert BCL.views(Config(views="sim-rand", classification_view="weak")) == (
        "weak",
        "rand",
        "sim",
    )
    assert BCL.views(Config(views="rand-rand")) == ("policy", "rand", "rand")


def test_the_weights_are_in_the_terms():
    views, labels = list(torch.rand(3, 6, 1, 8, 8)), torch.tensor([0, 0, 0, 1, 1, 2])
    single = built(classification_weight=1, contrastive_weight=1)(views, labels)
    double = built(classification_weight=2, contrastive_weight=3)(views, labels)
    assert_close(double["classification"], 2 * single["classification"])
    assert_close(double["contrast"], 3 * single["contrast"])


def test_a_part_of_weight_zero_is_not_built():
    assert built(complement_weight=0).prototype_head is None
    bare = built(contrastive_weight=0)
    assert bare.contrast_head is None
    assert bare.prototype_head is None
    views, labels = list(torch.rand(3, 6, 1, 8, 8)), torch.tensor([0, 0, 0, 1, 1, 2])
    assert set(bare(views, labels)) == {"classification"}
    contrast = built(classification_weight=0)
    assert set(contrast(views, labels)) == {"contrast"}
    assert contrast.classifier() is None
    assert contrast.classification_head.bias is None
    assert built(classification_weight=0, complement_weight=0).classification_head is None


def test_both_weights_zero_is_refused():
    with pytest.raises(pydantic.ValidationError, match="must not both be 0"):
        Config(contrastive_weight=0, classification_weight=0)


def test_shared_statistics_let_the_classified_view_reach_the_contrast():
    views, labels = list(torch.rand(3, 6, 1, 8, 8)), torch.tensor([0, 0, 0, 1, 1, 2])
    other = [views[0] ** 3, *views[1:]]
    for share, same in ((True, False), (False, True)):
        first = built(share_bn_views=share)(views, labels)["contrast"]
        second = built(share_bn_views=share)(other, labels)["contrast"]
        assert torch.equal(first, second) is same


def test_shares_leave_the_running_statistics_of_the_classified_view():
    views, labels = list(torch.rand(3, 8, 1, 8, 8)), torch.tensor([0, 0, 0, 1, 1, 2, 2, 0])
    method, alone, other = (built(norm_shares=4) for _ in range(3))
    method(views, labels)
    # 24 rows in 4 parts: the first is images 0 to 5 of the first view.
    alone.encoder(views[0][:6])
    other([views[0], views[1] ** 2, views[2] ** 3], labels)
    expected = dict(alone.encoder.named_buffers())
    for name, buffer in method.encoder.named_buffers():
        assert_close(buffer, expected[name])
        assert torch.equal(buffer, dict(other.encoder.named_buffers())[name])
    moved = dict(built().encoder.named_buffers())
    assert any(not torch.equal(moved[name], expected[name]) for name in moved)


def test_shares_need_one_batch():
    with pytest.raises(pydantic.ValidationError, match="norm_shares must be 1"):
        Config(norm_shares=4, share_bn_views=False)


def test_gradients_reach_the_class_vectors_through_the_prototypes():
    method = built(classification_weight=0)
    views, labels = list(torch.rand(3, 6, 1, 8, 8)), torch.tensor([0, 0, 0, 1, 1, 2])
    method(views, labels)["contrast"].backward()
    assert method.classification_head.weight.grad.abs().sum() > 0


def test_the_classifier_gives_raw_logits():
    method = built(tau=1.5).eval()
    images = torch.rand(4, 1, 8, 8)
    expected = method.classification_head(method.encoder(images))
    assert_close(method.classifier()(images), expected)
