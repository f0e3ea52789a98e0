import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from raylt import encoders
from raylt.contrast import unit
from raylt.methods.cross_entropy import logit_adjusted_cross_entropy
from raylt.methods.paco import Config, PaCo, parametric_contrastive
from tests import golden, references

COUNTS = torch.tensor([50, 8, 1])
PAPER = {"temperature": 0.05, "alpha": 0.01, "beta": 1.0, "gamma": 1.0}


def drawn(images, others, seed):
    """Queries, keys of which they are the first, logits, and the classes of both."""
    generator = torch.Generator().manual_seed(seed)
    keys = unit(torch.randn(images + others, 4, generator=generator, dtype=torch.float64))
    logits = torch.randn(images, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (images,), generator=generator)
    key_labels = torch.cat([labels, torch.randint(-1, 3, (others,), generator=generator)])
    return keys[:images], keys, logits, labels, key_labels


cases = st.tuples(st.integers(1, 4), st.integers(0, 5), st.integers(0, 2**31))


@given(
    cases,
    st.floats(0.05, 1),
    st.floats(0, 1),
    st.floats(0.1, 2),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
)
def test_it_is_the_formula_read_slowly(case, temperature, alpha, beta, gamma):
    queries, keys, logits, labels, key_labels = drawn(*case)
    weights = {"temperature": temperature, "alpha": alpha, "beta": beta, "gamma": gamma}
    expected = references.parametric_contrastive(
        keys.tolist(),
        logits.tolist(),
        labels.tolist(),
        key_labels.tolist(),
        COUNTS.tolist(),
        **weights,
    )
    computed = parametric_contrastive(
        queries, keys, logits, labels, key_labels, COUNTS, start=0, **weights
    )
    assert_close(computed.item(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", golden.cases("parametric_contrastive"))
def test_it_is_the_golden_number(case):
    def joined(queries, keys, **others):
        return parametric_contrastive(queries, torch.cat([queries, keys]), start=0, **others)

    golden.assert_agrees(joined, case)


@given(cases)
def test_without_keys_it_is_the_balanced_softmax(case):
    queries, keys, logits, labels, key_labels = drawn(*case)
    computed = parametric_contrastive(
        queries,
        keys,
        logits,
        labels,
        key_labels,
        COUNTS,
        start=0,
        **PAPER | {"alpha": 0.0, "gamma": 0.0},
    )
    assert_close(computed, logit_adjusted_cross_entropy(logits, labels, COUNTS, tau=1.0))


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_queries_keys_and_classes_does_not_matter(case, random):
    queries, keys, logits, labels, key_labels = drawn(*case)
    value = parametric_contrastive(
        queries, keys, logits, labels, key_labels, COUNTS, start=0, **PAPER
    )
    images = len(queries)
    order = random.sample(range(images), images)
    behind = random.sample(range(images, len(keys)), len(keys) - images)
    classes = torch.tensor(random.sample(range(3), 3))
    # Class k has the new number `place[k]`; what has no class keeps none.
    place = torch.cat([classes.argsort(), torch.tensor([-1])])
    moved = parametric_contrastive(
        queries[order],
        keys[order + behind],
        logits[order][:, classes],
        place[labels[order]],
        place[key_labels[order + behind]],
        COUNTS[classes],
        start=0,
        **PAPER,
    )
    assert_close(moved, value)


def test_everything_alike_costs_the_log_of_what_it_is_compared_with():
    keys = torch.ones(6, 1, dtype=torch.float64)
    # Keys and centres have one logit where those of the centres, with their prior, are 1/t.
    logits = torch.full((2, 3), 20 + math.log(3), dtype=torch.float64)
    computed = parametric_contrastive(
        keys[:2],
        keys,
        logits,
        torch.tensor([0, 1]),
        torch.tensor([0, 1, 0, 1, 2, -1]),
        torch.tensor([7, 7, 7]),
        start=0,
        **PAPER,
    )
    assert computed.item() == pytest.approx(math.log(3 + 5))


def test_the_gradient_is_finite_where_keys_do_not_count():
    queries, keys, logits, labels, key_labels = drawn(3, 4, 0)
    queries = queries.clone().requires_grad_()
    parametric_contrastive(
        queries, keys, logits, labels, key_labels, COUNTS, start=0, **PAPER | {"gamma": 0.0}
    ).backward()
    assert queries.grad.isfinite().all()


def built(**changes):
    torch.manual_seed(0)
    net = encoders.build("small", channels=1, size=8, mean=(0.5,), std=(0.5,))
    return PaCo(Config(**changes), net, COUNTS)


def test_the_queue_holds_the_keys_of_the_last_steps_and_their_classes():
    method = built(queue=6)
    views, labels = [torch.rand(4, 1, 8, 8) for _ in range(2)], torch.tensor([0, 1, 2, 0])
    for _ in range(3):
        method(views, labels)
    assert method.queue.labels.tolist() == [2, 0, 0, 1, 2, 0]
    assert_close(method.queue.keys.norm(dim=1), torch.ones(6))


def test_predictions_move_neither_the_queue_nor_the_momentum_encoder():
    method = built(queue=6)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.eval()
    method.classifier()(torch.rand(4, 1, 8, 8))
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize(
    "changes", [{"alpha": -1}, {"beta": 0}, {"gamma": -1}, {"queue": 0}, {"momentum": 1.0}]
)
def test_a_knob_out_of_range_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Config(**changes)
